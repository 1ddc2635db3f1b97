"""What a service manager hears of an agent."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.notify import READY, give_signs_of_life, life_sign_s, tell_manager
from tests.agent.rig import Endpoint, write_agent
from tests.services import Process, free_port


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(20)
        yield receiver


async def test_a_service_manager_hears_of_the_whole_life(tmp_path: Path, manager: socket.socket) -> None:
    """READY, what the agent is about, signs of life, then STOPPING on SIGTERM and a clean end."""
    meter = await Endpoint().start()
    config = write_agent(tmp_path / "agent", meter.port, free_port())
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "400000"}
    command = [sys.executable, "-m", "agent", "run", "--config", str(config.file)]
    process = Process("agent", command, tmp_path / "agent.log", environment).start()
    heard: list[str] = []

    async def hear(state: str) -> None:
        while state not in heard:
            heard.append((await asyncio.to_thread(manager.recv, 4096)).decode())

    try:
        for state in ("READY=1", "STATUS=running", "WATCHDOG=1"):
            await hear(state)
        heard.clear()
        await hear("WATCHDOG=1")
        assert await asyncio.to_thread(process.stop) == 0
        for state in ("STOPPING=1", "STATUS=stopped"):
            await hear(state)
    finally:
        process.kill()
        await meter.stop()


async def test_no_sign_of_life_while_the_outbox_does_not_answer(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sign of life comes after an answer of the outbox's thread; where none comes the manager waits in vain."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    answered = asyncio.Semaphore(2)
    task = asyncio.create_task(give_signs_of_life(answered.acquire))

    assert [await asyncio.to_thread(manager.recv, 64) for _ in range(2)] == [b"WATCHDOG=1"] * 2
    manager.settimeout(0.2)  # ten signs of life would fit in
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(manager.recv, 64)
    task.cancel()


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager may give a name in the abstract namespace, written with @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0emitrace-agent-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@emitrace-agent-test-{os.getpid()}")
        tell_manager(READY, "STATUS=running")
        assert receiver.recv(64) == b"READY=1\nSTATUS=running"


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [("90000000", None, 45.0), ("", None, None), ("0", None, None), ("x", None, None), ("1000000", "1", None)],
)
def test_a_sign_of_life_comes_twice_as_often_as_asked(
    usec: str, pid: str | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what is allowed; not at all where nobody asks, or another process is meant."""
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert life_sign_s() == expected
