"""A real time stamping authority (RFC 3161): openssl ts behind a small HTTP server, with a root of its own."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIGURATION = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[stamps]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[authority]
serial = serial
crypto_device = builtin
signer_cert = authority.pem
signer_key = authority.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha512
ess_cert_id_chain = no
"""


@dataclass
class Authority:
    """Makes stamps in a folder of its own; ``spoil`` may change what it answers."""

    folder: Path
    url: str = ""
    status: int = 200
    spoil: dict[bytes, bytes] = field(default_factory=dict)
    asked: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "openssl.cnf").write_text(CONFIGURATION)
        (self.folder / "serial").write_text("01\n")
        key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config openssl.cnf"
        self._openssl(f"req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=root -days 30 -extensions ca")
        self._openssl(f"req {key} -keyout authority.key -out authority.csr -subj /CN=authority")
        self._openssl(
            "x509 -req -in authority.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out authority.pem -days 30 "
            "-extfile openssl.cnf -extensions stamps"
        )

    @property
    def root(self) -> bytes:
        """The root certificate, PEM."""
        return (self.folder / "ca.pem").read_bytes()

    def stamp(self, query: bytes) -> bytes:
        """The answer to a query."""
        (self.folder / "query").write_bytes(query)
        self._openssl("ts -reply -config openssl.cnf -section authority -queryfile query -out reply")
        reply = (self.folder / "reply").read_bytes()
        for old, new in self.spoil.items():
            assert len(old) == len(new)
            assert old in reply
            reply = reply.replace(old, new)
        return reply

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.folder, check=True, capture_output=True)


@contextmanager
def serving(authority: Authority) -> Iterator[Authority]:
    """The authority at an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            authority.asked += 1
            reply = authority.stamp(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(authority.status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    authority.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
