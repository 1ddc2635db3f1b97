"""Signed notes and checkpoints against the published examples, and against whatever else arrives."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.transparency.checkpoint import Checkpoint, open_checkpoint, read_checkpoint, sign_checkpoint
from protocols.transparency.note import (
    NOTE_BYTES,
    SIGNATURES,
    NoteError,
    NoteKey,
    open_note,
    read_key,
    read_note,
    sign_note,
)

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    TEXT + "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6Ryy"
    "BwJnAM=\n"
).encode()
"""golang.org/x/mod/sumdb/note, which C2SP signed-note describes: key, private key, text and note of its examples."""

SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo"
    "+zyWE+xeMcTOAYQ8=\n"
).encode()
"""The example of C2SP tlog-checkpoint."""

RFC_8032_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_8032_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
KEY = Ed25519PrivateKey.from_private_bytes(RFC_8032_SEED)
PUBLIC = KEY.public_key().public_bytes_raw()


def test_rfc_8032_test_1() -> None:
    """The Ed25519 in use gives the public key and signature of RFC 8032 section 7.1, test 1."""
    assert RFC_8032_PUBLIC == PUBLIC.hex()
    assert KEY.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_signed_note_example() -> None:
    """The published note is read, holds under the published key, and is what we sign with its private key."""
    key = read_key(PETER)
    private = Ed25519PrivateKey.from_private_bytes(PETER_SEED)

    assert TEXT == open_note(NOTE, (key,)).text
    assert sign_note(TEXT, "PeterNeumann", private) == NOTE
    assert key.encoded() == PETER
    assert "c74f20a3" == NoteKey("PeterNeumann", private.public_key().public_bytes_raw()).key_id.hex()


def test_tlog_checkpoint_example() -> None:
    """The published checkpoint is read; a text of ours is written the same way."""
    checkpoint = read_checkpoint(SOFA)

    assert ("example.com/behind-the-sofa", 20852163) == (checkpoint.origin, checkpoint.size)
    assert checkpoint.root.hex().startswith("0ac5186a91863e8e")
    assert checkpoint.text() == read_note(SOFA).text


def test_a_checkpoint_holds_under_its_key_alone() -> None:
    """Signed under the origin's name; another key, another name, or a changed byte is refused with its reason."""
    checkpoint = Checkpoint("emitrace/0123", 7, bytes(range(32)))
    note = sign_checkpoint(checkpoint, KEY)

    assert checkpoint == open_checkpoint(note, PUBLIC)
    with pytest.raises(NoteError, match="by none of the keys"):
        open_checkpoint(note, read_key(PETER).public)
    with pytest.raises(NoteError, match="does not hold"):
        open_checkpoint(note.replace(b"\n7\n", b"\n8\n"), PUBLIC)
    with pytest.raises(NoteError, match="by none of the keys"):
        open_checkpoint(sign_note(checkpoint.text(), "emitrace/other", KEY), PUBLIC)


def test_a_second_signature_is_passed_over_unless_it_is_a_known_one() -> None:
    """A witness we do not know does no harm; a known name and id with a wrong signature does."""
    ours = sign_note(TEXT, "ours", KEY)
    line = NOTE.split(b"\n\n")[1]
    wrong = ours + line.replace(b"x08go/Z", b"x08go/Y")

    assert 2 == len(open_note(ours + line, (NoteKey("ours", PUBLIC),)).signatures)
    assert 2 == len(open_note(ours + line, (NoteKey("ours", PUBLIC), read_key(PETER))).signatures)
    assert TEXT == open_note(wrong, (NoteKey("ours", PUBLIC),)).text
    with pytest.raises(NoteError, match="PeterNeumann does not hold"):
        open_note(wrong, (NoteKey("ours", PUBLIC), read_key(PETER)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((b"\n\n", b"\n"), "no blank line"),
        ((b"\xe2\x80\x94 ", b"- "), "does not begin with a dash"),
        ((b" x08", b"  x08"), "names no key|not base64"),
        ((b"AM=\n", b"AM=\n\n"), "dash|no blank line"),
        ((b"AM=\n", b"AM="), "no blank line"),
        ((b"BwJnAM=", b"BwJnAN="), "not canonical"),
        ((b"PeterNeumann", b"Peter+Neumann"), "names no key"),
        ((b"cryptography", b"crypto\x07graphy"), "control characters"),
        ((b"cryptography", b"crypto\xffgraphy"), "not UTF-8"),
        ((b"problem,", b"problem," * NOTE_BYTES), "at most"),
    ],
)  # fmt: skip
def test_what_is_no_note(change: tuple[bytes, bytes], told: str) -> None:
    """Each departure from the format is refused with its reason."""
    with pytest.raises(NoteError, match=told):
        open_note(NOTE.replace(*change), (read_key(PETER),))


def test_signatures_are_counted() -> None:
    """Only so many signatures are looked at."""
    line = NOTE.split(b"\n\n")[1]
    with pytest.raises(NoteError, match=f"at most {SIGNATURES}"):
        read_note(NOTE + line * SIGNATURES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\n1\n", "lines"), ("a\n1\n\n", "lines"),
        ("a\n01\nAA==\n", "plain number"), ("a\n-1\nAA==\n", "plain number"),
        ("a\n１\nAA==\n", "plain number"), ("a\n9223372036854775808\nAA==\n", "above"), ("a\n1\nAA==\n", "32 bytes"),
        ("a\n1\nA\n", "not base64"), ("a\n99999999999999999999\nAA==\n", "plain number"),
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(text: str, told: str) -> None:
    """A note that is no checkpoint is refused with its reason."""
    with pytest.raises(NoteError, match=told):
        read_checkpoint(sign_note(text, "a", KEY))


@pytest.mark.parametrize(
    "encoded",
    ["", "a", "a+b", "a+00000000+", PETER[:-1], PETER.replace("c74f", "c74e"), PETER.replace("+AR", "+Ag"),
     PETER.replace("Peter", "Peter "), PETER + "A"],
)  # fmt: skip
def test_what_is_no_verifier_key(encoded: str) -> None:
    """A verifier key that was cut or changed is refused."""
    with pytest.raises(NoteError):
        read_key(encoded)


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_note_or_a_note_error(data: bytes) -> None:
    """Nothing that arrives breaks the reader."""
    for read in (read_note, read_checkpoint):
        with suppress(NoteError):
            read(data)


@settings(deadline=None)
@given(st.integers(0, len(SOFA) - 1), st.integers(0, 255), st.booleans())
def test_any_change_to_a_note_is_refused(at: int, byte: int, insert: bool) -> None:
    """One byte changed or put in: the signature does not hold, or it is no note."""
    note = sign_checkpoint(Checkpoint("emitrace/0123", 20852163, bytes(range(32))), KEY)
    at %= len(note)
    changed = note[:at] + bytes([byte]) + note[at + (not insert) :]
    if changed != note:
        with pytest.raises(NoteError):
            open_checkpoint(changed, PUBLIC)


@settings(deadline=None)
@given(st.text(), st.text())
def test_what_is_signed_is_read_back(text: str, name: str) -> None:
    """A text and a name that may be signed come back as they were."""
    try:
        note = sign_note(text + "\n", name, KEY)
    except NoteError:
        return
    if len(note) <= NOTE_BYTES:
        opened = open_note(note, (NoteKey(name, PUBLIC),))
        assert (text + "\n", name) == (opened.text, opened.signatures[0].name)
