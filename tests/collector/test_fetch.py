"""A bundle is pulled over real sockets: with a token out of sight, on after a cut, never with a wrong byte."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from collector.accounts.roles import Role
from collector.accounts.tokens import add_token
from collector.books import open_books
from collector.clock import now_ms
from collector.config import load_config
from collector.evidence.verify import fetch_command
from collector.evidence.verify.__main__ import main
from collector.evidence.verify.fetch import RefusedError, Source, fetch
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from collector.store.engagements import revise
from protocols.errors import EmitraceError
from tests.collector.accounts.engaged import DAY_MS, TO_MS, terms
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.running import PASSWORD, Collector, origin
from tests.services import LOOPBACK, free_port, spawning, wait_until

HOUR_MS = 3_600_000
ASKED = f"/api/v1/bundle?from_ms={START_MS}&to_ms={START_MS + HOUR_MS}"


@dataclass
class Cutter:
    """A way to the collector that is cut after so many bytes, connection by connection; then it holds."""

    port: int
    cuts: list[int]
    change: Callable[[bytes], bytes] = lambda data: data
    tls: ssl.SSLContext | None = None
    asked: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Cutter:
        self._server = socket.create_server((LOOPBACK, 0))
        self.own = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def connect(self, limit_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(LOOPBACK, self.own, timeout=limit_s)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            with suppress(OSError), near:
                self._relay(self.tls.wrap_socket(near, server_side=True) if self.tls else near)

    def _relay(self, near: socket.socket) -> None:
        left = self.cuts.pop(0) if self.cuts else 1 << 40
        with near, socket.create_connection((LOOPBACK, self.port)) as far:
            request = near.recv(1 << 16)
            self.asked.append(request)
            far.sendall(request.replace(b"Accept-Encoding", b"Connection: close\r\nAccept-Encoding"))
            while left > 0 and (data := far.recv(min(left, 1 << 14))):
                near.sendall(self.change(data))
                left -= len(data)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, Edge]]:
    """A running collector with an hour of one agent, and an account per role; its broker never comes."""
    folder = tmp_path_factory.mktemp("collector")
    edge = stream(0, window_s=60)
    for _ in range(3):
        edge.add_batch(span_ms=20 * 60_000)
    with spawning(folder) as spawn:
        collector = Collector(folder, spawn, free_port())
        config = collector.configure()
        collector.add_users(Role.VERIFIER, Role.TECHNICIAN, Role.MANAGER)
        with open_books(config) as books:
            with books.database.writing() as connection:
                add_agent(connection, edge.public, "boiler house", START_MS)
                revise(connection, None, terms(to_ms=TO_MS, from_ms=TO_MS - 10 * DAY_MS), "manager", START_MS)
            commit_group(books, [edge.message(sequence) for sequence in range(4)], START_MS)
        collector.start()
        wait_until(lambda: collector.get("comparisons")["equal"] == 3, 20, "the comparisons")
        yield collector, edge


def source(cutter: Cutter, asked: str = ASKED, account: str = "verifier") -> Source:
    """The collector behind a cutter, as somebody asks it; no real waiting."""
    return Source(cutter.connect, asked, basic(account), wait=lambda _s: None)


def basic(account: str) -> str:
    return fetch_command.authorization_of(None, {"EMITRACE_TOKEN": f"{account}:{PASSWORD}"})


def test_a_fetched_bundle_verifies(filled: tuple[Collector, Edge], tmp_path: Path) -> None:
    """The command with a token file; the file is the collector's, to the byte, and consistent with the anchors."""
    collector, edge = filled
    secret = tmp_path / "token"
    secret.write_text(f"verifier:{PASSWORD}\n")
    secret.chmod(0o600)
    out = tmp_path / "bundle.zip"
    with pytest.raises(SystemExit) as fetched:
        main([
            "fetch", "--collector", collector.address, "--token-file", str(secret), "--out", str(out),
            "--from", "2025-10-09T08:00:00Z", "--to", "2025-10-09T18:00:00+08:00", "--source", "grid", "--whole-log",
        ])  # fmt: skip
    key = origin(load_config(collector.folder / "collector.toml"))
    with pytest.raises(SystemExit) as verified:
        main([str(out), "--trust", edge.agent_id, "--trust", key])

    assert (0, 0) == (fetched.value.code, verified.value.code)
    assert ["bundle.zip", "token"] == sorted(path.name for path in tmp_path.iterdir())


def test_an_api_token_is_all_a_fetch_needs(
    filled: tuple[Collector, Edge], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token with the scope evidence from the environment fetches; one that may only read is refused."""
    collector, _ = filled
    with open_books(load_config(collector.folder / "collector.toml")) as books, books.database.writing() as connection:
        tokens = [add_token(connection, "verifier", name, [name], 1, now_ms())[0] for name in ("evidence", "read")]
    period = ("--from", "2025-10-09T09:00Z", "--to", "2025-10-09T10:00Z")
    codes = []
    for token in tokens:
        monkeypatch.setenv("EMITRACE_TOKEN", token)
        with pytest.raises(SystemExit) as ended:
            main(["fetch", "--collector", collector.address, "--out", str(tmp_path / "bundle.zip"), *period])
        codes.append(ended.value.code)
    said = capsys.readouterr()

    assert [0, 2] == codes
    assert "403" in said.err
    assert [] == [token for token in tokens if token in said.out + said.err]


@pytest.mark.parametrize("cuts", [[5000], [100, 3000, 4000], [1]])
def test_it_goes_on_after_a_cut(filled: tuple[Collector, Edge], tmp_path: Path, cuts: list[int]) -> None:
    """Cut in the headers and in the bytes: the next request asks for the rest of the same bundle."""
    collector, _ = filled
    out = tmp_path / "bundle.zip"
    with Cutter(collector.web_port, list(cuts)) as cutter:
        digest = fetch(source(cutter), out)

    assert digest == hashlib.sha256(out.read_bytes()).hexdigest()
    assert len(cuts) + 1 == len(cutter.asked)
    rest = [asked for asked, cut in zip(cutter.asked[1:], cuts, strict=True) if cut > 2000]
    assert all(re.search(rb"Range: bytes=[1-9]\d*-", asked) for asked in rest)
    assert all(f'If-Range: "{digest}"'.encode() in asked for asked in rest)
    assert [out] == list(tmp_path.iterdir())


def test_a_later_run_goes_on_although_the_collector_was_restarted(
    filled: tuple[Collector, Edge], tmp_path: Path
) -> None:
    """What is kept for fetching is on disk at both ends."""
    collector, _ = filled
    out = tmp_path / "bundle.zip"
    with Cutter(collector.web_port, [20_000] + [0] * 8) as cutter, pytest.raises(EmitraceError, match="given up"):
        fetch(source(cutter), out)
    before = (tmp_path / "bundle.zip.part").stat().st_size
    assert collector.process is not None
    collector.process.stop()
    collector.start()
    with Cutter(collector.web_port, []) as cutter:
        digest = fetch(source(cutter), out)

    assert 0 < before < out.stat().st_size
    assert f"Range: bytes={before}-".encode() in cutter.asked[0]
    assert digest == hashlib.sha256(out.read_bytes()).hexdigest()


def test_what_has_expired_is_asked_for_anew(filled: tuple[Collector, Edge], tmp_path: Path) -> None:
    """The collector has thrown the bundle away meanwhile: nothing of the old one is left in the new one."""
    collector, _ = filled
    out = tmp_path / "bundle.zip"
    asked = ASKED + "&source=stack"
    with Cutter(collector.web_port, [9000] + [0] * 8) as cutter, pytest.raises(EmitraceError, match="given up"):
        fetch(source(cutter, asked), out)
    for path in (collector.folder / "state" / "bundles").iterdir():
        path.unlink()
    with Cutter(collector.web_port, []) as cutter:
        digest = fetch(source(cutter, asked), out)

    assert 2 == len(cutter.asked)
    assert digest == hashlib.sha256(out.read_bytes()).hexdigest()


def test_a_byte_changed_on_the_way_is_noticed(filled: tuple[Collector, Edge], tmp_path: Path) -> None:
    """Nothing gets the bundle's name, and the wrong bytes are gone."""
    collector, _ = filled
    with (
        Cutter(collector.web_port, [], lambda data: data.replace(b"grid", b"gird")) as cutter,
        pytest.raises(EmitraceError, match="the collector announced"),
    ):
        fetch(source(cutter), tmp_path / "bundle.zip")

    assert [] == list(tmp_path.iterdir())


def test_only_who_may_and_only_ones_own(filled: tuple[Collector, Edge], tmp_path: Path) -> None:
    """A technician has no evidence, a wrong password nothing; nobody gets what somebody else asked for."""
    collector, _ = filled
    with Cutter(collector.web_port, []) as cutter:
        for account, said in (("technician", "403"), ("nobody", "401")):
            with pytest.raises(RefusedError, match=said):
                fetch(source(cutter, account=account), tmp_path / "bundle.zip")
    own = httpx.get(f"{collector.address}{ASKED}", auth=("verifier", PASSWORD))
    place = f"{collector.address}{own.headers['content-location']}"
    answers = [httpx.get(place, auth=(name, PASSWORD)).status_code for name in ("verifier", "manager", "technician")]
    stale = httpx.get(place, auth=("verifier", PASSWORD), headers={"Range": "bytes=5-", "If-Range": '"other"'})
    part = httpx.get(place, auth=("verifier", PASSWORD), headers={"Range": "bytes=5-9"})

    assert [200, 404, 403] == answers
    assert (200, 206, own.content[5:10]) == (stale.status_code, part.status_code, part.content)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://collector.example", "plain http"),
        ("http://10.0.0.1:8080", "plain http"),
        ("https://user:secret@collector.example", "holds an account"),
        ("ftp://collector.example", "https://collector.example"),
        ("https://", "https://collector.example"),
    ],
)
def test_addresses_that_would_give_the_secret_away(url: str, said: str) -> None:
    """Plain http to another machine, or an account on the command line, is refused before anything is sent."""
    with pytest.raises(RefusedError, match=said):
        fetch_command.checked_url(url, insecure=False)


def test_plain_http_to_this_machine_or_on_purpose() -> None:
    """Loopback by any name; others when somebody insists."""
    for url in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:80", "https://collector.example"):
        assert fetch_command.checked_url(url, insecure=False).hostname
    assert "10.0.0.1" == fetch_command.checked_url("http://10.0.0.1", insecure=True).hostname


def test_secrets_that_others_could_read_are_refused(tmp_path: Path) -> None:
    """A token file of mode 644, an empty one, one that is missing, none at all."""
    secret = tmp_path / "token"
    secret.write_text("abc\n")
    for mode, said in ((0o644, "others may read it"), (0o600, "")):
        secret.chmod(mode)
        if said:
            with pytest.raises(RefusedError, match=said):
                fetch_command.authorization_of(secret, {})
    empty = tmp_path / "empty"
    empty.touch(0o600)
    for file in (empty, tmp_path / "none", None):
        with pytest.raises(RefusedError):
            fetch_command.authorization_of(file, {})

    assert "Bearer abc" == fetch_command.authorization_of(secret, {"EMITRACE_TOKEN": "other"})
    assert "Bearer other" == fetch_command.authorization_of(None, {"EMITRACE_TOKEN": "other"})


def test_a_certificate_nobody_vouches_for_is_refused(filled: tuple[Collector, Edge], tmp_path: Path) -> None:
    """TLS is checked: without the private CA no byte of the token leaves, with it the bundle comes."""
    collector, _ = filled
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Cutter(collector.web_port, [], tls=context) as cutter:
        url = urlsplit(f"https://127.0.0.1:{cutter.own}")
        alone = Source(fetch_command.connector(url, None), ASKED, basic("verifier"), wait=lambda _s: None)
        with pytest.raises(EmitraceError, match="certificate does not hold"):
            fetch(alone, tmp_path / "bundle.zip")
        assert [] == cutter.asked
        vouched = Source(fetch_command.connector(url, certificate), ASKED, basic("verifier"), wait=lambda _s: None)
        digest = fetch(vouched, tmp_path / "bundle.zip")

    assert digest == hashlib.sha256((tmp_path / "bundle.zip").read_bytes()).hexdigest()


GOOD = (
    'Content-Length: 3\r\nETag: "a"\r\nContent-Location: /api/v1/bundles/1\r\n'
    f"Repr-Digest: sha-256=:{'A' * 43}=:"
)


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        f"HTTP/1.1 200 OK\r\n{GOOD}\r\n\r\nabc",
        f"HTTP/1.1 206 Partial\r\n{GOOD}\r\nContent-Range: bytes 5-7/8\r\n\r\nabc",
        f"HTTP/1.1 200 OK\r\n{GOOD.replace('/api', '//elsewhere.example/api')}\r\n\r\nabc",
        f"HTTP/1.1 200 OK\r\n{GOOD.replace(': 3', ': ' + '9' * 14)}\r\n\r\nabc",
        f"HTTP/1.1 200 OK\r\n{GOOD.replace(': 3', ': -3')}\r\n\r\nabc",
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 \x1b[2J\r\nContent-Length: 0\r\n\r\n",
        "\x00" * 100,
    ],
)
def test_whatever_answers_is_no_crash(answer: str, tmp_path: Path) -> None:
    """No collector, or a lying one: refused with a reason, no file of the bundle's name, no redirection followed."""
    with Canned(answer.encode("latin-1")) as server, pytest.raises(EmitraceError) as refused:
        fetch(Source(server.connect, ASKED, "Bearer x", wait=lambda _s: None), tmp_path / "bundle.zip")

    assert str(refused.value).isprintable()
    assert not (tmp_path / "bundle.zip").exists()


@dataclass
class Canned:
    """Says the same to everybody."""

    answer: bytes

    def __enter__(self) -> Canned:
        self._server = socket.create_server((LOOPBACK, 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def connect(self, limit_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(LOOPBACK, self._server.getsockname()[1], timeout=limit_s)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            with near:
                near.recv(1 << 16)
                near.sendall(self.answer)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that only its owner vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(at - timedelta(1)).not_valid_after(at + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, secret = folder / "ca.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, secret
