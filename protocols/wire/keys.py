"""Ed25519 keys on disk: made once, readable by their owner only, known by the fingerprint of their public part."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.errors import EmitraceError
from protocols.wire.cose import key_id

PUBLIC_BYTES = 32


class KeyFileError(EmitraceError):
    """A key file that cannot be made or must not be used."""


def make_key(path: Path | str) -> Ed25519PrivateKey:
    """A new private key in a new file (PKCS #8 PEM, mode 0600); an existing file is never replaced.

    The file appears whole or not at all: it is written and synced beside its place, then linked into it.
    """
    path = Path(path)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError as error:
        raise KeyFileError(f"key {path}", "there is a file already", "move it away if it is not to be used") from error
    except OSError as error:
        raise KeyFileError(f"key {path}", f"cannot be written: {error.strerror}", "check the folder") from error
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return key


def load_key(path: Path | str) -> Ed25519PrivateKey:
    """The private key in a file that only its owner can read."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(4096)
    except OSError as error:
        seen = f"cannot be read: {error.strerror}"
        hint = "make one with the command 'key', or name the right file; the program's user must own it"
        raise KeyFileError(f"key {path}", seen, hint) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise KeyFileError(f"key {path}", f"mode {stat.S_IMODE(mode):04o} lets others read it", f"chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"key {path}", "not an unencrypted PEM private key", "name the right file") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"key {path}", f"{type(key).__name__} instead of an Ed25519 key", "name the right file")
    return key


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The raw 32 bytes of the public part."""
    return key.public_key().public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """SHA-256 of a raw public key in hex: an agent's id, and what a verifier holds as an anchor."""
    if len(public) != PUBLIC_BYTES:
        raise ValueError(f"a raw Ed25519 public key has {PUBLIC_BYTES} bytes, not {len(public)}")
    return key_id(public).hex()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
