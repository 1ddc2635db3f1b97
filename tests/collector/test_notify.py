from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest
import uvicorn

from collector.notify import READY, notify, watchdog_s
from collector.service import _Server
from tests.collector.running import Collector
from tests.services import Process, Spawn, free_port


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(30)
        yield receiver


def test_a_service_manager_hears_of_the_whole_life(tmp_path: Path, spawn: Spawn, manager: socket.socket) -> None:
    """READY once the pages answer, WATCHDOG twice as often as wanted, STOPPING on SIGTERM, then a clean end."""
    collector = Collector(tmp_path, spawn, free_port())
    collector.configure()
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "400000"}
    process = Process("serve", collector.command("serve"), tmp_path / "serve.log", environment).start()
    try:
        assert b"READY=1" == manager.recv(100)
        assert collector.answers()
        assert [b"WATCHDOG=1"] * 3 == [manager.recv(100) for _ in range(3)]
        assert 0 == process.stop()
        told = [manager.recv(100)]
        while told[-1] == b"WATCHDOG=1":
            told.append(manager.recv(100))
        assert b"STOPPING=1" == told[-1]
    finally:
        process.kill()


async def test_no_sign_of_life_while_a_worker_is_dead(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """When ingest or ledger has ended the manager waits in vain, and restarts the service."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    well = True
    server = _Server(uvicorn.Config("unused"), lambda: well, lambda: None)
    alive = asyncio.create_task(server._stay_alive(0.01))
    assert b"WATCHDOG=1" == await asyncio.to_thread(manager.recv, 100)
    well = False
    await asyncio.sleep(0.05)
    manager.setblocking(False)
    while select([manager], [], [], 0)[0]:
        manager.recv(100)
    await asyncio.sleep(0.1)  # ten signs of life would fit in
    assert [] == select([manager], [], [], 0)[0]
    server.should_exit = True
    await alive


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service manager may give a name in the abstract namespace, written with @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0emitrace-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@emitrace-test-{os.getpid()}")

        assert notify(READY)
        assert b"READY=1" == receiver.recv(100)


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/notify"])
def test_without_a_manager_nothing_is_sent(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, one that is no address, or one that is gone: the service goes on."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    assert not notify(READY)


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [("120000000", None, 60.0), ("", None, None), ("0", None, None), ("x", None, None), ("1000000", "1", None)],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(
    usec: str, pid: str | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what is allowed; not at all where nobody asks, or another process is meant."""
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))

    assert expected == watchdog_s()
