"""An agent from an invitation to its first batch and to its revocation: real programs, HTTPS, mosquitto over TLS.

Killed with -9 while it asks, it goes on where it was; somebody else at the address is sent nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from sqlalchemy import func, select

from agent import service
from agent.clock import KernelClock
from agent.config import Config, load_config
from agent.enrolling import PASSWORD
from agent.service import serve
from collector import enrolling
from collector.books import Books, open_books
from collector.config import load_config as load_collector
from collector.store.agents import find_agent
from collector.store.endings import Ending
from collector.store.enrolments import waiting_enrolments
from collector.store.quarantine import count_by_reason
from collector.store.schema import streams
from protocols.enrolment import State, read_invitation
from protocols.wire.keys import fingerprint, load_key, public_bytes
from tests.agent.rig import Endpoint, write_agent
from tests.certificates import certify, make_ca, write_key
from tests.collector.running import Collector
from tests.services import LOOPBACK, Process, Spawn, accepts, find_program, free_port, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]


@dataclass
class Centre:
    """A collector behind TLS, its broker with accounts, and the files of both."""

    folder: Path
    collector: Collector
    broker: Process
    broker_port: int

    def invitation(self) -> str:
        """An invitation, made beside the running collector."""
        with self.books() as books:
            return enrolling.invite(books, "boiler house", "site", 60, "test")[0].text()

    def asking(self) -> list[tuple[int, str]]:
        """Number and digits of each agent that asks."""
        with self.books() as books, books.database.reading() as connection:
            return [(one.token.id, one.digits(books.public_key)) for one in waiting_enrolments(connection)]

    def placed(self) -> int:
        """Items of agents that are in the books."""
        with self.books() as books, books.database.reading() as connection:
            return int(connection.scalar(select(func.coalesce(func.sum(streams.c.placed), 0))) or 0)

    def books(self) -> AbstractContextManager[Books]:
        """The collector's books."""
        return open_books(load_collector(self.folder / "collector.toml"))

    def reload(self) -> None:
        """Have mosquitto read its accounts again, as systemd does when the file changes."""
        assert self.broker.popen is not None
        self.broker.popen.send_signal(signal.SIGHUP)

    def secrets_seen(self, *secrets: str) -> list[str]:
        """Logs that show one of these."""
        logs = [path for path in self.folder.rglob("*.log") if path.is_file()]
        return [path.name for path in logs if any(one in path.read_text(errors="replace") for one in secrets)]


@asynccontextmanager
async def tls_before(port: int, certificate: Path, key: Path) -> AsyncIterator[int]:
    """A proxy that ends TLS in front of a port; where it listens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection(LOOPBACK, port)
        await asyncio.gather(pipe(reader, before), pipe(behind, writer))

    server = await asyncio.start_server(serve_one, LOOPBACK, 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


def make_certificate(folder: Path, name: str) -> None:
    """A CA, and a key and certificate of loopback."""
    key, (ca_key, _) = generate_private_key(SECP256R1()), make_ca(folder, f"{name}-ca")
    write_key(folder / f"{name}.key", key)
    (folder / f"{name}.pem").write_bytes(certify(name, key, f"{name}-ca", ca_key, host=LOOPBACK))


@pytest.fixture
async def centre(tmp_path: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Centre]:
    monkeypatch.setattr(service, "CLOCK_LOOK_S", 0.2)
    folder = tmp_path / "centre"
    folder.mkdir()
    for name in ("web", "broker"):
        make_certificate(folder, name)
    collector = Collector(folder, spawn, free_port())
    collector.configure()
    out, user = folder / "mosquitto", "root" if os.geteuid() == 0 else "nobody"
    await asyncio.to_thread(
        collector.run, "broker-config", "--out", str(out), "--certificate", str(folder / "broker.pem"), "--key",
        str(folder / "broker.key"), "--port", str(collector.broker_port), "--user", user, "--store", str(folder),
    )  # fmt: skip
    async with tls_before(collector.web_port, folder / "web.pem", folder / "web.key") as port:
        settings = collector.folder / "collector.toml"
        settings.write_text(
            settings.read_text().replace(
                "[web]",
                f'username = "collector"\npassword_file = "{out / "credentials" / "collector.password"}"\n'
                f'tls_ca = "broker-ca.pem"\n[enrolment]\nurl = "https://{LOOPBACK}:{port}"\ncertificate = "web.pem"\n'
                f'accounts = "{out / "accounts"}"\n[web]',
            )
        )
        program = find_program("mosquitto")
        assert program is not None
        broker = spawn("mosquitto", [program, "-c", str(out / "mosquitto.conf")])
        await asyncio.to_thread(wait_until, lambda: accepts(collector.broker_port), 10, "mosquitto to listen")
        await asyncio.to_thread(collector.start)
        yield Centre(folder, collector, broker, collector.broker_port)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Config]:
    """An agent's folder as `init` leaves it, beside a meter; it has no key yet."""
    meter = await Endpoint().start()
    config = write_agent(tmp_path / "agent", meter.port, 1)
    config.key_file.unlink()
    yield config
    await meter.stop()


def enroll(config: Config, *words: str) -> list[str]:
    """The command line of `emitrace-agent enroll`."""
    return [sys.executable, "-m", "agent", "enroll", "--config", str(config.file), *words]


async def run(command: list[str], given: bytes = b"") -> tuple[int, str]:
    """Exit code and output of a command, with something on its standard input."""
    done = await asyncio.to_thread(subprocess.run, command, input=given, capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.1)


def seen_in_processes(secret: str) -> bool:
    """Whether the command line of any process shows it."""
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            if secret.encode() in one.read_bytes():
                return True
    return False


async def until_seen(process: asyncio.subprocess.Process, word: str) -> str:
    """The line of a running command that begins with a word."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(word):
                return line
    raise AssertionError(f"it ended without {word!r}")


async def test_from_invitation_to_revocation(centre: Centre, site: Config) -> None:
    """Asked, compared, confirmed: batches are accepted, under a new key too; revoked, it gets no further."""
    file = site.file.with_name("invitation")
    file.write_text(centre.invitation())
    secret = read_invitation(file.read_text()).secret
    process = await asyncio.create_subprocess_exec(
        *enroll(site, "--invitation-file", str(file)), stdout=asyncio.subprocess.PIPE
    )
    digits = (await until_seen(process, "compare")).removeprefix("compare").strip()
    ((number, shown),) = centre.asking()
    assert digits == shown
    assert not seen_in_processes(secret)
    with centre.books() as books:
        assert "" == enrolling.settle(books, number, State.CONFIRMED, "test").problem
    centre.reload()
    await until_seen(process, "confirmed")
    assert 0 == await process.wait()

    config = load_config(site.file)
    assert (0o600, 0o600) == tuple(
        path.stat().st_mode & 0o777 for path in (config.key_file, site.file.parent / PASSWORD)
    )  # fmt: skip
    agent_id = fingerprint(public_bytes(load_key(config.key_file)))
    assert (agent_id, centre.broker_port) == (config.settings.broker.username, config.settings.broker.port)
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))

    await until(lambda: centre.placed() >= 2)
    stop.set()
    await task
    code, said = await run([sys.executable, "-m", "agent", "rotate-key", "--config", str(config.file)])
    assert (code, agent_id in said) == (0, True), said
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    rotated = centre.placed()
    await until(lambda: centre.placed() >= rotated + 2)
    with centre.books() as books:
        with books.database.reading() as connection:
            assert {} == count_by_reason(connection)
            agent = find_agent(connection, agent_id)
        assert agent is not None
        assert public_bytes(load_key(config.key_file)) == agent.ring.newest != agent.public_key
        enrolling.end_agent(books, "boiler house", Ending.REVOKED, "cabinet broken open", "test")
    stop.set()
    await task
    before = centre.placed()
    centre.reload()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    await until(lambda: "disconnected, not authorised." in centre.broker.text(100_000))
    stop.set()
    await task

    assert before == centre.placed()
    password = (site.file.parent / PASSWORD).read_text().strip()
    assert [] == centre.secrets_seen(secret, password)


async def test_killed_while_it_asks_and_met_by_somebody_else(centre: Centre, site: Config) -> None:
    """Kill -9 after the key is on the disk, before an answer: the same key, the same request, the same digits.

    Another certificate than the invitation names: nothing is sent there.
    """
    text = centre.invitation()
    make_certificate(centre.folder, "thief")
    pair = (centre.folder / "thief.pem", centre.folder / "thief.key")
    async with tls_before(centre.collector.web_port, *pair) as port:
        url, mark, rest = text.partition("#")
        code, said = await run(enroll(site), f"{url.rpartition(':')[0]}:{port}{mark}{rest}".encode())
        assert (code, "shows another certificate" in said) == (2, True), said

    listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def never_answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if not listening.done():
            listening.set_result(None)

    server = await asyncio.start_server(never_answer, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(*enroll(site), stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(f"http://{LOOPBACK}:{port}#{rest}".encode())
    process.stdin.close()
    async with asyncio.timeout(60):
        await listening
    process.kill()
    await process.wait()
    server.close()
    key = site.key_file.read_bytes()
    assert [] == centre.asking()

    code, said = await run(enroll(site, "--no-wait", "--invitation-file", "-"), text.encode())
    assert code == 0, said
    assert key == site.key_file.read_bytes()
    ((_, digits),) = centre.asking()
    assert digits in said
