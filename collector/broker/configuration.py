"""The texts of a hardened mosquitto: listener, limits, who may touch which topic, hashed passwords; pure.

Measured with mosquitto 2.0.11: past ``max_queued_messages`` (1000 where it is not set) it drops and still says success,
and a kill loses what it had taken but not yet saved. Nothing here relies on either; both cost resends only.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocols.enrolment import account_hash
from protocols.errors import EmitraceError
from protocols.wire import topics
from protocols.wire.limits import MESSAGE_BYTES

SALT_BYTES = 12
LARGEST_MESSAGE = MESSAGE_BYTES + 4096
"""The largest item with its envelope. [bytes]"""
QUEUED_BYTES = 2**30
"""What an absent collector may cost the broker; what is over it is dropped and sent again by the agents. [bytes]"""
AUTOSAVE_S = 60
FORGET_DAYS = 30


@dataclass(frozen=True, slots=True)
class Place:
    """Where the broker listens, the certificate it shows and its key, the system user it runs as, and its store."""

    port: int
    certificate: Path
    key: Path
    user: str
    store: Path


def make_password() -> str:
    """A password of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_password(password: str, salt: bytes | None = None) -> str:
    """``$7$``: PBKDF2 with SHA-512, as a line of mosquitto's password file has it behind the name."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    return account_hash(password, salt)


def password_fits(hashed: str, password: str) -> bool:
    """Whether a hash that ``hash_password`` made is of this password."""
    salt = hashed.split("$")[3]
    return hmac.compare_digest(hash_password(password, base64.b64decode(salt)), hashed)


def read_accounts(text: str, subject: str) -> dict[str, str]:
    """Name -> hash of a password file; EmitraceError where a line is none."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, hashed = line.partition(":")
        if not colon or not name or not hashed.startswith("$7$"):
            hint = "Name another folder, or remove the file to make every account anew."
            raise EmitraceError(f"{subject}, line {number}", "is no account with a $7$ hash", hint)
        found[name] = hashed
    return found


def accounts_text(accounts: Mapping[str, str]) -> str:
    """The password file."""
    return "".join(f"{name}:{hashed}\n" for name, hashed in sorted(accounts.items()))


def acl_text(collector: str) -> str:
    """Who may touch what: an agent, whose account is named like its id, its own topics; the collector all of ours."""
    root = topics.ROOT
    own = f"{root}/%u"
    lines = [
        *(f"pattern write {own}/{part}" for part in ("up/+", "status", "live")),
        f"pattern read {own}/down/+",
        f"pattern read {topics.COLLECTOR_KEY}",
        "",
        f"user {collector}",
        f"topic readwrite {root}/#",
    ]
    return "\n".join(lines) + "\n"


def configuration_text(place: Place, folder: Path) -> str:
    """mosquitto.conf; the other files lie in ``folder``."""
    return f"""\
# Written by emitrace-collector broker-config, for mosquitto 2.0 or later. Certificate and key are yours to renew.
user {place.user}
listener {place.port}
certfile {place.certificate}
keyfile {place.key}
tls_version tlsv1.2

# Nobody without an account, and every account only its own topics.
allow_anonymous false
password_file {folder / "accounts"}
acl_file {folder / "acl"}

# Sessions outlive a restart. An absent collector costs up to {QUEUED_BYTES} bytes of memory, then resends.
persistence true
persistence_location {place.store}/
autosave_interval {AUTOSAVE_S}
persistent_client_expiration {FORGET_DAYS}d
max_queued_messages 0
max_queued_bytes {QUEUED_BYTES}
queue_qos0_messages false
max_packet_size {LARGEST_MESSAGE}

log_dest stderr
log_type error
log_type warning
log_type notice
"""
