"""Invitation, request and answer: only what the right key signed counts, and no error repeats a secret."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from importlib import resources

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.enrolment import (
    Answer,
    Invitation,
    Request,
    State,
    account_hash,
    comparison,
    read_answer,
    read_invitation,
    read_request,
    seal_answer,
    seal_request,
)
from protocols.errors import EmitraceError
from protocols.wire.cose import key_id, open_sealed
from protocols.wire.errors import WireError
from protocols.wire.keys import public_bytes

AGENT, COLLECTOR = (Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"a", b"c"))
SECRET = "xa5K1AQmkoyFsB4bDQgsSVldn6kbWpP8Sit-fKf0BDc"  # made once: tests are known by what they are given
INVITATION = Invitation("https://emitrace.example.org:8443", SECRET, key_id(public_bytes(COLLECTOR)), b"\x01" * 32)
REQUEST = Request(
    public_bytes(AGENT), SECRET, "site-1", account_hash("password", b"0" * 12), "emitrace-agent 1", b"n" * 16
)
ANSWER = Answer(
    public_bytes(COLLECTOR), REQUEST.nonce, State.PENDING, b"m" * 16, "boiler house", "broker", 8883, "-----BEGIN"
)


def test_an_invitation_survives_whatever_carries_it() -> None:
    """As text, broken into lines by a mail program, with no certificate named, and from loopback without TLS."""
    for one in (INVITATION, replace(INVITATION, certificate=b""), replace(INVITATION, url="http://127.0.0.1:8080")):
        text = one.text()
        assert one == read_invitation(text)
        assert one == read_invitation(f"  {text[:40]}\n{text[40:90]}\r\n {text[90:]}\n")
    assert SECRET not in repr(INVITATION)


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("https://", "http://", "without TLS"),
        ("https://", "ftp://", "not whole"),
        ("https://", "https://somebody:word@", "not whole"),
        ("#enrol.1.", "#enrol.2.", "not whole"),
        (SECRET, SECRET[:-1], "not whole"),
        (INVITATION.text()[-5:], "", "not whole"),
        ("emitrace.example.org:8443", "", "not whole"),
        ("8443", "84430000", "not whole"),
    ],
)
def test_a_changed_invitation_is_refused_and_not_repeated(old: str, new: str, seen: str) -> None:
    """What and what to do; the secret in none of it."""
    with pytest.raises(EmitraceError, match=seen) as told:
        read_invitation(INVITATION.text().replace(old, new))
    assert SECRET[:20] not in str(told.value)


def test_only_the_key_that_a_request_brings_may_sign_it() -> None:
    """Another key's signature, a flipped bit, and an account that would be two lines of a password file."""
    assert REQUEST == read_request(seal_request(REQUEST, AGENT))
    assert SECRET not in repr(REQUEST)
    forged = [seal_request(REQUEST, COLLECTOR), seal_request(replace(REQUEST, account="x\nroot:$7$"), AGENT)]
    good = seal_request(REQUEST, AGENT)
    forged += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good))]
    for data in forged:
        with pytest.raises(WireError):
            read_request(data)


def test_only_the_invitations_collector_answers_and_only_this_request() -> None:
    """An answer of another collector, one to another request, and one that says what there is not."""
    data = seal_answer(ANSWER, COLLECTOR)
    assert ANSWER == read_answer(data, INVITATION.collector, REQUEST.nonce)
    other = replace(ANSWER, collector_key=public_bytes(AGENT))
    for forged, asked in ((seal_answer(other, AGENT), REQUEST.nonce), (seal_answer(other, COLLECTOR), REQUEST.nonce),
                          (data, b"o" * 16), (data[:-1], REQUEST.nonce)):  # fmt: skip
        with pytest.raises(WireError):
            read_answer(forged, INVITATION.collector, asked)


def test_the_digits_are_of_both_keys_and_the_collectors_number() -> None:
    """Whoever changes one of the three cannot count on the same digits."""
    keys = public_bytes(AGENT), public_bytes(COLLECTOR)
    digits = comparison(*keys, b"m" * 16)

    assert (9, " ") == (len(digits), digits[4])
    assert 4 == len({digits, comparison(*keys, b"n" * 16), comparison(keys[1], keys[1], b"m" * 16),
                     comparison(keys[0], keys[0], b"m" * 16)})  # fmt: skip


@given(st.binary(max_size=300), st.text(max_size=200))
@example(b"\xd2\x84\x40\xa0\x40\x58\x40" + bytes(64), "https://[#enrol.1." + "A" * 43 + "..")
def test_rubbish_is_refused(data: bytes, written: str) -> None:
    """Whatever comes: an error of ours."""
    for text in (written, f"https://x#enrol.1.{SECRET}.{written}."):
        with contextlib.suppress(EmitraceError):
            read_invitation(text)
    with pytest.raises(WireError):
        read_request(data)
    with pytest.raises(WireError):
        read_answer(data, bytes(32), bytes(16))


def test_both_messages_conform_to_the_schema() -> None:
    """schema.cddl is normative."""
    pycddl = pytest.importorskip("pycddl", reason="pycddl has wheels for x86-64 only")
    text = (resources.files("protocols.wire") / "schema.cddl").read_text(encoding="utf-8")
    for rule, data in (
        ("enrolment-request", seal_request(REQUEST, AGENT)), ("enrolment-answer", seal_answer(ANSWER, COLLECTOR)),
    ):  # fmt: skip
        pycddl.Schema(f"start = {rule}\n{text}").validate_cbor(open_sealed(data).payload)
