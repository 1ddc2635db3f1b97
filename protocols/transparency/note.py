"""The C2SP signed note (c2sp.org/signed-note): a text, and Ed25519 signatures with key names below it.

A note is read strictly: UTF-8 without control characters, canonical base64, at most ``NOTE_BYTES`` and
``SIGNATURES``. A signature by an unknown key is passed over; one under a known name and key id that does not hold
makes the whole note worthless.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocols.errors import EmitraceError

NOTE_BYTES = 4096
SIGNATURES = 16
ED25519 = 0x01
"""Signature type of the key id, and first byte of an encoded key."""
_ID_BYTES, _KEY_BYTES = 4, 32
_NAME_BYTES = 255
_DASH = "\u2014 "


class NoteError(EmitraceError):
    """A note that is not one, or is not signed as it should be."""


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under the name it signs notes with; NoteError where the name cannot be one."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise NoteError("note key", f"{self.name[:80]!r} is no key name", "Use text without spaces and plus signs.")
        if len(self.public) != _KEY_BYTES:
            raise NoteError(f"note key {self.name}", f"{len(self.public)} bytes, an Ed25519 key has {_KEY_BYTES}")

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256 over name, newline, signature type and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([ED25519]) + self.public).digest()[:_ID_BYTES]

    def encoded(self) -> str:
        """The verifier key: name, key id in hex and base64 of type and key, joined by plus signs."""
        material = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who, by name and key id, and the signature itself."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note's text, with its last newline, and its signatures, none of them checked."""

    text: str
    signatures: tuple[NoteSignature, ...]


def read_key(encoded: str) -> NoteKey:
    """The key in an encoded verifier key; NoteError where it is none."""
    name, plus, rest = encoded.partition("+")
    told_id, second_plus, material = rest.partition("+")
    raw = _base64(material, f"verifier key {name[:80]}") if plus and second_plus else b""
    if len(raw) != 1 + _KEY_BYTES or raw[0] != ED25519:
        raise NoteError("verifier key", f"{encoded[:120]!r} is no Ed25519 key", "Copy it whole: name+id+key.")
    key = NoteKey(name, raw[1:])
    if told_id != key.key_id.hex():
        raise NoteError(f"verifier key {name}", f"states id {told_id[:16]}, has {key.key_id.hex()}", "Copy it whole.")
    return key


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> bytes:
    """A note of this text with one signature."""
    _check_text(text)
    signer = NoteKey(name, key.public_key().public_bytes_raw())
    blob = base64.b64encode(signer.key_id + key.sign(text.encode())).decode()
    return f"{text}\n{_DASH}{name} {blob}\n".encode()


def read_note(data: bytes) -> Note:
    """The parts of a note; NoteError where the bytes are none."""
    if len(data) > NOTE_BYTES:
        raise NoteError("note", f"{len(data)} bytes, at most {NOTE_BYTES} are read")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("note", f"not UTF-8 at byte {error.start}") from error
    body, blank, signed = whole.rpartition("\n\n")
    if not blank or not signed.endswith("\n"):
        raise NoteError("note", "no blank line with signature lines after it")
    text = body + "\n"
    _check_text(text)
    lines = signed[:-1].split("\n")
    if len(lines) > SIGNATURES:
        raise NoteError("note", f"{len(lines)} signatures, at most {SIGNATURES} are read")
    return Note(text, tuple(_read_signature(line) for line in lines))


def open_note(data: bytes, keys: Iterable[NoteKey]) -> Note:
    """A note that at least one of these keys signed; NoteError where none did or one's signature does not hold."""
    note = read_note(data)
    known = {(key.name, key.key_id): key for key in keys}
    held = 0
    for one in note.signatures:
        key = known.get((one.name, one.key_id))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(one.signature, note.text.encode())
        except (InvalidSignature, ValueError) as error:
            raise NoteError("note", f"the signature of {one.name} does not hold") from error
        held += 1
    if not held:
        signers = ", ".join(f"{one.name}+{one.key_id.hex()}" for one in note.signatures)
        raise NoteError("note", f"signed by {signers}, by none of the keys that are trusted")
    return note


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("note", "its text does not end with a newline")
    if any((character < " " and character != "\n") or "\ud800" <= character <= "\udfff" for character in text):
        raise NoteError("note", "its text holds control characters")


def _read_signature(line: str) -> NoteSignature:
    if not line.startswith(_DASH):
        raise NoteError("note", f"signature line {line[:80]!r} does not begin with a dash (U+2014) and a space")
    name, space, material = line[len(_DASH) :].partition(" ")
    if not space or not _is_name(name):
        raise NoteError("note", f"signature line {line[:80]!r} names no key")
    raw = _base64(material, f"note: signature of {name}")
    if len(raw) <= _ID_BYTES:
        raise NoteError("note", f"a signature of {len(raw)} bytes by {name}")
    return NoteSignature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def _is_name(name: str) -> bool:
    return (
        0 < len(name.encode("utf-8", "replace")) <= _NAME_BYTES
        and "+" not in name
        and name.isprintable()
        and not any(character.isspace() for character in name)
    )


def _base64(text: str, where: str) -> bytes:
    """Canonical base64 with padding; NoteError for anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(where, "not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise NoteError(where, "not canonical base64")
    return raw
