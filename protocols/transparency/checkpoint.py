"""The C2SP checkpoint (c2sp.org/tlog-checkpoint): origin, size and root of a tree in a signed note."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.transparency.note import NoteError, NoteKey, open_note, read_note, sign_note
from protocols.transparency.tree import HASH_BYTES

MOST_SIZE = 2**63 - 1
_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the log's origin, how many leaves it had, and their root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text that is signed; it has no extension lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    """The signed note of a tree head; the key signs under the log's origin, as C2SP asks."""
    return sign_note(checkpoint.text(), checkpoint.origin, key)


def read_checkpoint(data: bytes) -> Checkpoint:
    """The tree head in a note, whoever signed it; NoteError where there is none."""
    return _head(read_note(data).text)


def open_checkpoint(data: bytes, public: bytes) -> Checkpoint:
    """The tree head in a note that this raw public key signed under the name of the origin; NoteError otherwise."""
    checkpoint = read_checkpoint(data)
    open_note(data, (NoteKey(checkpoint.origin, public),))
    return checkpoint


def _head(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteError("checkpoint", f"{len(lines)} lines, or an empty one; origin, size and root are the first three")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdecimal()) or len(size) > _DIGITS or (size[0] == "0" and size != "0"):
        raise NoteError("checkpoint", f"size {size[:40]!r} is no plain number")
    if int(size) > MOST_SIZE:
        raise NoteError("checkpoint", f"size {size} is above {MOST_SIZE}")
    try:
        raw = base64.b64decode(root, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("checkpoint", "its root is not base64") from error
    if len(raw) != HASH_BYTES or base64.b64encode(raw).decode() != root:
        raise NoteError("checkpoint", f"its root is not {HASH_BYTES} bytes in canonical base64")
    return Checkpoint(origin, int(size), raw)
