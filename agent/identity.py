"""Who the agent is: its id, which is the fingerprint of its first key, the key that signs now, and those before it.

``agent.key.former`` beside the key lists the raw public keys that signed before, oldest first, in hex. A key that is
being taken on lies in ``agent.key.next`` until the stream says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.errors import EmitraceError
from protocols.records import StreamItem
from protocols.wire.codec import read_item
from protocols.wire.cose import key_id, open_sealed
from protocols.wire.keys import fingerprint, load_key, public_bytes

BACKUP = "restore it from a backup of its folder"


@dataclass(frozen=True, slots=True)
class Identity:
    """The key that signs now, and the raw public keys that signed before, oldest first."""

    key: Ed25519PrivateKey
    former: tuple[bytes, ...] = ()

    @property
    def public(self) -> bytes:
        """Raw public part of the key that signs now."""
        return public_bytes(self.key)

    @property
    def agent_id(self) -> str:
        """The fingerprint of the first key."""
        return fingerprint(self.former[0] if self.former else self.public)

    def read(self, data: bytes) -> StreamItem:
        """An item that this agent signed, by whichever of its keys; WireError otherwise."""
        kid = open_sealed(data).kid
        return read_item(data, next((key for key in self.former if key_id(key) == kid), self.public))


def load_identity(key_file: Path) -> Identity:
    """Key and former keys from their files."""
    key = load_key(key_file)
    return Identity(key, tuple(one for one in read_former(key_file) if one != public_bytes(key)))


def next_file(key_file: Path) -> Path:
    """Where the key lies that is being taken on."""
    return key_file.with_name(f"{key_file.name}.next")


def former_file(key_file: Path) -> Path:
    """Where the keys are listed that signed before."""
    return key_file.with_name(f"{key_file.name}.former")


def read_former(key_file: Path) -> list[bytes]:
    """The keys that signed before, oldest first; none where no key was ever replaced."""
    path = former_file(key_file)
    try:
        lines = path.read_text(encoding="ascii").split()
        found = [bytes.fromhex(one) for one in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise EmitraceError(str(path), f"cannot be read: {error}", BACKUP) from error
    if any(len(one) != 32 for one in found):
        raise EmitraceError(str(path), "holds something that is no key", BACKUP)
    return found


def take_on_next(key_file: Path) -> None:
    """Make the next key the key: the old one is listed as former and its file replaced; again after a power cut."""
    old = public_bytes(load_key(key_file))
    former = read_former(key_file)
    if old not in former and old != public_bytes(load_key(next_file(key_file))):
        path = former_file(key_file)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("w", encoding="ascii") as file:
            file.write("".join(f"{one.hex()}\n" for one in (*former, old)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    next_file(key_file).replace(key_file)
    descriptor = os.open(key_file.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
