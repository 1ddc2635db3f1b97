"""Modbus TCP through TLS on real sockets: nothing is asked of an endpoint that does not prove who it is."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from agent.bus.bus import Bus
from agent.bus.opening import TlsFileError, bus_of
from agent.endpoint import TlsBus
from protocols.records import Fate
from tests.agent.rig import Endpoint
from tests.certificates import certify, make_ca, write_key
from tests.services import LOOPBACK

pytestmark = pytest.mark.clock
ELSEWHERE = "192.0.2.7"


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    """A gateway that knows its clients by certificates of ca.pem; its own certificate is for another address."""
    ca_key, ca = make_ca(tmp_path, "ca")
    make_ca(tmp_path, "other")
    for name, host in (("server", ELSEWHERE), ("client", LOOPBACK)):
        key = generate_private_key(SECP256R1())
        write_key(tmp_path / f"{name}.key", key)
        (tmp_path / f"{name}.pem").write_bytes(certify(name, key, "ca", ca_key, host=host))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    served = await Endpoint(table={0: 604}, tls=tls).start()
    yield served
    await served.stop()


def bus_at(folder: Path, port: int, **other: Any) -> Bus:
    ours: dict[str, Any] = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key", "server_name": ELSEWHERE}
    table = TlsBus(kind="tls", host=LOOPBACK, port=port, timeout_s=1.0, **{**ours, **other}).beside(folder)
    return bus_of(table, lambda: time.monotonic_ns() // 1_000_000)


async def test_registers_come_through_tls(endpoint: Endpoint, tmp_path: Path) -> None:
    """Both sides show certificates; the endpoint's is for the server name."""
    bus = bus_at(tmp_path, endpoint.port)
    assert await bus.open()
    answer = await bus.read(1, 3, 0, 1)
    await bus.close()

    assert (Fate.GOOD, b"\x02\x5c") == (answer.fate, answer.registers)


@pytest.mark.parametrize(
    ("other", "problem"),
    [({"ca": "other.pem"}, "certificate verify failed"), ({"server_name": None}, "IP address mismatch")],
    ids=["another CA", "another host"],
)
async def test_who_cannot_prove_it_is_not_asked(
    endpoint: Endpoint, tmp_path: Path, other: dict[str, Any], problem: str
) -> None:
    """The bus says what is wrong with the certificate."""
    bus = bus_at(tmp_path, endpoint.port, **other)
    assert not await bus.open()
    answer = await bus.read(1, 3, 0, 1)
    await bus.close()

    assert Fate.DISCONNECTED == answer.fate
    assert problem in bus.problem
    assert [] == endpoint.asked


async def test_without_a_certificate_of_our_own_where_one_is_asked_for(endpoint: Endpoint, tmp_path: Path) -> None:
    """The endpoint hangs up: no value, and the connection is lost rather than the wait for ever."""
    bus = bus_at(tmp_path, endpoint.port, cert=None, key=None)
    await bus.open()
    async with asyncio.timeout(5):
        answer = await bus.read(1, 3, 0, 1)
    await bus.close()

    assert Fate.DISCONNECTED == answer.fate
    assert [] == endpoint.asked


@pytest.mark.parametrize(
    ("other", "seen"),
    [
        ({"ca": "absent.pem"}, "absent.pem is not usable: No such file"),
        ({"ca": "client.key"}, "client.key is not usable"),
        ({"key": "server.key"}, "server.key is not usable"),
        ({"key": "locked.key"}, "locked.key is not usable"),
    ],
    ids=["absent", "no certificate", "another's key", "a key with a password"],
)
async def test_a_file_that_is_not_usable_is_named(
    endpoint: Endpoint, tmp_path: Path, other: dict[str, Any], seen: str
) -> None:
    """Before anything runs, with the bus and what to name instead; nobody is asked for a password."""
    write_key(tmp_path / "locked.key", generate_private_key(SECP256R1()), b"secret")
    with pytest.raises(TlsFileError, match=f"bus at {LOOPBACK}:{endpoint.port} through TLS: .*{seen}.*name .*PEM"):
        bus_at(tmp_path, endpoint.port, **other)
