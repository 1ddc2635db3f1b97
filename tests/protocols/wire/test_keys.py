"""Key files: made once, kept from others' eyes, never replaced."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocols.wire.keys import KeyFileError, fingerprint, load_key, make_key, public_bytes


def test_a_key_is_made_and_loaded(tmp_path: Path) -> None:
    """What was made is what is loaded; only the owner can read it; nothing else is left in the folder."""
    made = make_key(tmp_path / "keys" / "agent.key")
    loaded = load_key(tmp_path / "keys" / "agent.key")

    assert public_bytes(made) == public_bytes(loaded)
    assert 0o600 == stat.S_IMODE((tmp_path / "keys" / "agent.key").stat().st_mode)
    assert ["agent.key"] == [path.name for path in (tmp_path / "keys").iterdir()]


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    """An existing file of any content stays as it is."""
    path = tmp_path / "agent.key"
    path.write_bytes(b"precious")

    with pytest.raises(KeyFileError, match="already"):
        make_key(path)
    assert b"precious" == path.read_bytes()


def test_of_two_makers_one_wins(tmp_path: Path) -> None:
    """Two processes that start at once end up with one key."""
    made: list[bytes] = []
    refused: list[KeyFileError] = []

    def make() -> None:
        try:
            made.append(public_bytes(make_key(tmp_path / "agent.key")))
        except KeyFileError as error:
            refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1, 5) == (len(made), len(refused))
    assert made[0] == public_bytes(load_key(tmp_path / "agent.key"))


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    """The error says the mode and the command that mends it."""
    make_key(tmp_path / "agent.key")
    (tmp_path / "agent.key").chmod(0o640)

    with pytest.raises(KeyFileError, match=r"0640.*chmod 600"):
        load_key(tmp_path / "agent.key")


def test_other_files_are_no_keys(tmp_path: Path) -> None:
    """No file, no PEM, another kind of key: each says what was seen."""
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for name, content in (("text", b"hello"), ("ec", other)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)

    with pytest.raises(KeyFileError, match="cannot be read"):
        load_key(tmp_path / "none")
    with pytest.raises(KeyFileError, match="PEM"):
        load_key(tmp_path / "text")
    with pytest.raises(KeyFileError, match="Ed25519"):
        load_key(tmp_path / "ec")


def test_fingerprint_is_the_sha256_of_the_raw_key() -> None:
    """64 hexadecimal digits that anyone can compute."""
    assert hashlib.sha256(bytes(32)).hexdigest() == fingerprint(bytes(32))
    with pytest.raises(ValueError, match="32 bytes"):
        fingerprint(bytes(31))
