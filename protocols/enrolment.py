"""How an agent and its collector first meet: the invitation, the agent's signed request, the collector's signed answer.

The invitation is made on the collector's page and carried to the agent by a person: as text, or as a QR code. It names
the collector's key, so nothing the network says is believed on first use: the answer must be signed by that key. The
request is signed by the key that the agent has just made. Both sides then show the same eight digits, from both keys
and a number that the collector drew after it had seen the agent's key: a person compares them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.errors import EmitraceError
from protocols.wire import cbor
from protocols.wire.cose import open_sealed, sign, verify
from protocols.wire.errors import Reason, WireError
from protocols.wire.fields import blob, record, refuse, text, uint

VERSION = 1
REQUEST_TYPE = "application/vnd.emitrace.enrolment-request+cbor;v=1"
ANSWER_TYPE = "application/vnd.emitrace.enrolment-answer+cbor;v=1"
LARGEST_REQUEST = 4096
LARGEST_ANSWER = 65_536
LONGEST_INVITATION = 1024
NONCE_BYTES = 16
ITERATIONS = 101
"""As mosquitto_passwd has it. The passwords are 256 random bits, which no number of rounds makes harder to guess."""
_MARK = "#enrol.1."
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_ACCOUNT = re.compile(r"\$7\$101\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==")
_NO_INVITATION = "Copy the whole text of the page, from https:// to its end, or scan the code again."


class State(StrEnum):
    """How far an enrolment has come."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, repr=False)
class Invitation:
    """What a person carries to the agent; ``secret`` is good once.

    Attributes
    ----------
    url : str
        Where the collector is reached, without a path at its end.
    collector : bytes
        SHA-256 of the collector's raw public key.
    certificate : bytes
        SHA-256 of the TLS certificate that the collector's address shows; empty where the system's authorities
        judge it.
    """

    url: str
    secret: str
    collector: bytes
    certificate: bytes = b""

    def text(self) -> str:
        """What is shown, copied and scanned."""
        return f"{self.url}{_MARK}{self.secret}.{_short(self.collector)}.{_short(self.certificate)}"

    def __repr__(self) -> str:
        return f"Invitation({self.url!r}, without its secret)"


def make_secret() -> str:
    """A token of 256 random bits."""
    return secrets.token_urlsafe(32)


def read_invitation(written: str) -> Invitation:
    """The invitation in a text; EmitraceError, which never repeats it, where there is none."""
    found = "".join(written.split())
    url, mark, rest = found.partition(_MARK)
    parts = rest.split(".")
    if not mark or len(found) > LONGEST_INVITATION or len(parts) != 3 or not _SECRET.fullmatch(parts[0]):
        raise EmitraceError("invitation", "is not whole", _NO_INVITATION)
    try:
        place = urlsplit(url)
        named = place.scheme in ("https", "http") and bool(place.hostname) and place.port != 0
        collector, certificate = _long(parts[1]), _long(parts[2])
    except ValueError as error:
        raise EmitraceError("invitation", "is not whole", _NO_INVITATION) from error
    if not named or place.username is not None or len(collector) != 32 or len(certificate) not in (0, 32):
        raise EmitraceError("invitation", "is not whole", _NO_INVITATION)
    if place.scheme == "http" and place.hostname not in ("127.0.0.1", "::1", "localhost"):
        hint = "Ask the central team for one with https: its [enrolment] url must name the address with TLS."
        raise EmitraceError("invitation", f"leads to {place.hostname} without TLS", hint)
    return Invitation(url.rstrip("/"), parts[0], collector, certificate)


def token_digest(secret: str) -> bytes:
    """What the collector keeps of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What an agent asks for; ``account`` is the hash of its broker password, which never leaves the machine."""

    public_key: bytes
    secret: str
    facility: str
    account: str
    software: str
    nonce: bytes

    def __repr__(self) -> str:
        return f"Request({self.public_key.hex()!r}, without its secret)"


def seal_request(request: Request, key: Ed25519PrivateKey) -> bytes:
    """The request, signed by the key that it brings."""
    fields = {
        1: VERSION, 2: request.public_key, 3: request.secret, 4: request.facility, 5: request.account,
        6: request.software, 7: request.nonce,
    }  # fmt: skip
    return sign(key, REQUEST_TYPE, cbor.encode(fields))


def read_request(data: bytes) -> Request:
    """The request in these bytes, signed by the key that it brings; WireError otherwise."""
    if len(data) > LARGEST_REQUEST:
        raise WireError(Reason.TOO_LARGE, "request", f"{len(data)} bytes, at most {LARGEST_REQUEST} are read")
    sealed = open_sealed(data)
    if sealed.content_type != REQUEST_TYPE:
        raise WireError(Reason.WRONG_CONTENT_TYPE, "request", f"content type {sealed.content_type!r}")
    fields = record(cbor.decode(sealed.payload, max_depth=2), "request", range(1, 8))
    uint(fields[1], "request.version", VERSION + 1, VERSION)
    public = blob(fields[2], "request.key", 32, 32)
    verify(sealed, public)
    account, software = text(fields[5], "request.account", 256), text(fields[6], "request.software", 64)
    if not _ACCOUNT.fullmatch(account):
        refuse("request.account", "no $7$ hash with 101 rounds")
    if not software.isprintable():
        refuse("request.software", "signs that cannot be shown")
    return Request(
        public, text(fields[3], "request.secret", 64), text(fields[4], "request.facility", 64), account, software,
        blob(fields[7], "request.nonce", NONCE_BYTES, NONCE_BYTES),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What the collector says to a request: how far it has come, and where the broker is.

    Attributes
    ----------
    asked : bytes
        The request's own number: an answer to another request is no answer.
    nonce : bytes
        Drawn by the collector; both sides make the digits to compare from it.
    authority : str
        PEM of the CA that signed the broker's certificate; empty where the broker has no TLS.
    """

    collector_key: bytes
    asked: bytes
    state: State
    nonce: bytes
    name: str
    broker: str
    port: int
    authority: str


def seal_answer(answer: Answer, key: Ed25519PrivateKey) -> bytes:
    """The answer, signed by the collector's key."""
    fields = {
        1: VERSION, 2: answer.collector_key, 3: answer.asked, 4: answer.state.value, 5: answer.nonce, 6: answer.name,
        7: answer.broker, 8: answer.port, 9: answer.authority,
    }  # fmt: skip
    return sign(key, ANSWER_TYPE, cbor.encode(fields))


def read_answer(data: bytes, collector: bytes, asked: bytes) -> Answer:
    """The answer to a request, signed by the collector with that fingerprint; WireError otherwise."""
    if len(data) > LARGEST_ANSWER:
        raise WireError(Reason.TOO_LARGE, "answer", f"{len(data)} bytes, at most {LARGEST_ANSWER} are read")
    sealed = open_sealed(data)
    if sealed.kid != collector or sealed.content_type != ANSWER_TYPE:
        seen = f"signed by key {sealed.kid.hex()}, the invitation names {collector.hex()}"
        raise WireError(Reason.UNKNOWN_KEY, "answer", seen, "Somebody else answers there: tell the central team.")
    fields = record(cbor.decode(sealed.payload, max_depth=2), "answer", range(1, 10))
    uint(fields[1], "answer.version", VERSION + 1, VERSION)
    public = blob(fields[2], "answer.key", 32, 32)
    verify(sealed, public)
    if blob(fields[3], "answer.asked", NONCE_BYTES, NONCE_BYTES) != asked:
        raise WireError(Reason.CONFLICT, "answer", "it answers another request", "Try again.")
    state = text(fields[4], "answer.state", 16)
    if state not in State.__members__.values():
        refuse("answer.state", repr(state))
    return Answer(
        public, asked, State(state), blob(fields[5], "answer.nonce", NONCE_BYTES, NONCE_BYTES),
        text(fields[6], "answer.name", 64), text(fields[7], "answer.broker", 255),
        uint(fields[8], "answer.port", 65_536, 1), text(fields[9], "answer.authority", 32_768),
    )  # fmt: skip


def comparison(agent_key: bytes, collector_key: bytes, nonce: bytes) -> str:
    """Eight digits that both sides show: the same only where both speak of the same two keys."""
    digest = hashlib.sha256(b"emitrace enrolment 1" + agent_key + collector_key + nonce).digest()
    digits = f"{int.from_bytes(digest[:8], 'big') % 10**8:08}"
    return f"{digits[:4]} {digits[4:]}"


def account_hash(password: str, salt: bytes) -> str:
    """``$7$``: PBKDF2 with SHA-512, as a line of mosquitto's password file has it behind the name; 12 bytes of salt."""
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


def _short(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _long(written: str) -> bytes:
    return base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
