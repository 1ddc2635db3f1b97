"""The agent as a witness: what follows is held, what does not is an alarm that stays, and duty goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.doctor import log_looks
from agent.held_log import ALARMS, Held, Renamed
from agent.witness import Judged, Witness, judge
from agent.writer import Writer
from protocols.messages import Ack, OriginProof
from protocols.transparency.checkpoint import Checkpoint, sign_checkpoint
from protocols.transparency.proofs import consistency_proof, inclusion_proof
from protocols.transparency.succession import Predecessor, Succession, encode_succession
from protocols.transparency.tree import leaf_data, leaf_hash, root_of

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]
ORIGIN = "emitrace/a"


def note(size: int, leaves: list[bytes] = LEAVES, origin: str = ORIGIN, key: Ed25519PrivateKey = KEY) -> bytes:
    return sign_checkpoint(Checkpoint(origin, size, root_of(leaves[:size])), key)


def ack(base: int, size: int, leaves: list[bytes] = LEAVES, **changes: Any) -> Ack:
    """An acknowledgement with the checkpoint of a size, and the proof from a base."""
    proof = consistency_proof(leaves[:size], base) if base <= size else ()
    whole: dict[str, Any] = {"checkpoint": note(size, leaves), "consistency": proof, "log_key": PUBLIC, "base": base}
    return Ack(bytes(16), 0, (), **(whole | changes))


def held(size: int) -> Held:
    return Held(PUBLIC, note(size), 5)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_what_follows_is_newer_and_what_is_held_is_nothing_new(first: int, second: int) -> None:
    """Any later size with its proof is taken; the same one again changes nothing; a smaller one is an alarm."""
    expected = Judged(newer=True) if second > first else Judged()
    if second < first:
        expected = Judged(alarm=f"shrunken to {second} leaves")

    assert expected == judge(held(first), ack(first, second))
    assert Judged(newer=True) == judge(None, ack(0, second))


REWRITTEN = [*LEAVES[:3], leaf_hash(b"other"), *LEAVES[4:]]
OTHER = Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (ack(7, 20, REWRITTEN), "rewritten"),
        (ack(7, 7, REWRITTEN), "rewritten"),
        (ack(7, 20, consistency=()), "rewritten"),
        (ack(7, 20, checkpoint=note(20).replace(b"\n20\n", b"\n21\n")), "badly signed"),
        (ack(7, 20, checkpoint=b"nonsense"), "badly signed"),
        (ack(7, 20, checkpoint=note(20, key=OTHER), log_key=OTHER.public_key().public_bytes_raw()), "another key"),
        (ack(7, 20, checkpoint=note(20, key=OTHER)), "badly signed"),
        (ack(7, 20, checkpoint=note(20, origin="emitrace/b")), "another log, emitrace/b"),
    ],
)
def test_what_does_not_follow_is_an_alarm(told: Ack, reason: str) -> None:
    """Rewritten, badly signed, by another key or of another log: each is named."""
    assert judge(held(7), told).alarm.startswith(reason) or reason in judge(held(7), told).alarm


def test_a_late_acknowledgement_is_no_alarm() -> None:
    """One that was made when less was held proves nothing about what is held now: it is passed over."""
    assert Judged() == judge(held(20), ack(7, 12))
    assert Judged() == judge(held(20), ack(7, 30))


async def test_the_checkpoint_held_stays_beside_what_came_instead(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Pinned, checked, alarmed once per thing seen; after a restart the same is held and shown."""
    caplog.set_level("INFO", "agent")
    news: list[dict[str, Any]] = []
    writer = await Writer.open(tmp_path / "outbox.sqlite", 0)
    witness = Witness(writer, lambda: 9, news.append)
    await witness.begin()
    for told in (ack(0, 7), ack(7, 20), ack(20, 30, REWRITTEN), ack(20, 30, REWRITTEN), ack(20, 12), ack(20, 25)):
        await witness.take(told)
    await writer.close()
    writer = await Writer.open(tmp_path / "outbox.sqlite", 0)
    again = Witness(writer, lambda: 9, news.append)
    await again.begin()
    alarms = await writer.call(writer.outbox.held_log.alarms)
    for number in range(ALARMS + 5):
        await again.take(ack(25, 39, checkpoint=b"nonsense %d" % number))
    many = await writer.call(writer.outbox.held_log.alarms)
    kept = await writer.call(writer.outbox.held_log.held)
    await writer.close()
    said = [record.getMessage().split()[0] for record in caplog.records]

    assert ["log-pinned", "checkpoint-checked", "log-alarm", "log-alarm", "checkpoint-checked"] == said[:5]
    assert [(note(20), note(30, REWRITTEN)), (note(20), note(12))] == [(one.held, one.seen) for one in alarms]
    assert alarms[0].proof == consistency_proof(REWRITTEN[:30], 20)
    assert Held(PUBLIC, note(25), 9) == kept
    assert ALARMS == len(many)
    assert "" == news[0]["log_checkpoint"]
    assert {"log_checkpoint": note(25).decode(), "log_checked_ms": 9, "log_alarms": 2,
            "log_successions": 0, "log_unproven": 0, "log_alarm": "shrunken to 12 leaves"} in news  # fmt: skip


def test_the_doctor_says_how_old_the_checkpoint_is() -> None:
    """A day without a newer one is a finding, as is any alarm; before the first there is nothing to say."""
    day_ms = 86_400_000
    held = {"log_checkpoint": note(25).decode(), "log_checked_ms": day_ms}

    assert [] == list(log_looks({}, day_ms))
    assert [True, False] == [look.well for at_ms in (2 * day_ms, 2 * day_ms + 1) for look in log_looks(held, at_ms)]
    assert [False] == [look.well for look in log_looks({**held, "log_alarm": "rewritten"}, day_ms)]


RENAMED = "emitrace/b"


def renamed(base: int, kept: int, admitted: int, size: int = 12, **changes: Any) -> Ack:
    """An acknowledgement under a new origin of a log restored to ``kept`` leaves, that admits a head it had signed."""
    head = Checkpoint(changes.pop("before", ORIGIN), admitted, changes.pop("root", root_of(LEAVES[:admitted])))
    record = encode_succession(Succession(RENAMED, (Predecessor(head, kept),)))
    leaf = leaf_hash(leaf_data("origin", RENAMED, hashlib.sha256(record).digest()))
    leaves = [*LEAVES[:kept], *(leaf_hash(b"again %d" % number) for number in range(size - kept - 1)), leaf]
    origin = OriginProof(record, size - 1, inclusion_proof(leaves, size - 1))
    proof = consistency_proof(leaves, base) if base <= size else ()
    whole: dict[str, Any] = {
        "checkpoint": note(size, leaves, RENAMED), "consistency": proof, "log_key": PUBLIC, "base": base,
        "origin": origin,
    }  # fmt: skip
    return Ack(bytes(16), 0, (), **(whole | changes))


def test_a_new_origin_is_taken_only_with_what_it_went_on_from() -> None:
    """With proof that it begins with what is held, or admits that it lost it; what is admitted lost is counted."""
    assert Judged(newer=True, renamed=True) == judge(held(7), renamed(7, kept=8, admitted=20))
    assert Judged(newer=True, renamed=True, unproven=7) == judge(held(15), renamed(15, kept=8, admitted=20))
    assert Judged(newer=True, renamed=True, unproven=12) == judge(held(20), renamed(20, kept=8, admitted=20))
    assert Judged() == judge(held(15), renamed(9, kept=8, admitted=20)), "made when something else was held"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (renamed(15, 8, 20, origin=None), "another log, emitrace/b"),
        (renamed(15, 8, 20, origin=OriginProof(b"x", 11, ())), "another log, emitrace/b"),
        (renamed(15, 8, 20, before="emitrace/c"), "another log, emitrace/b, that does not name emitrace/a"),
        (renamed(15, 8, 14), "a new origin that admits 14 leaves"),
        (renamed(15, 8, 15, root=bytes(32)), "a new origin that admits 15 leaves"),
        (renamed(15, 15, 20, size=17, consistency=()), "rewritten: emitrace/b does not begin"),
    ],
)
def test_a_new_origin_that_admits_too_little_is_an_alarm(told: Ack, reason: str) -> None:
    """Without proof, of another log, or with less than is held: the alarm stands, and what is held stays."""
    assert judge(held(15), told).alarm.startswith(reason)


async def test_both_sides_of_a_new_origin_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was held, what came and the record; the new log is followed from there, and said as no alarm."""
    news: list[dict[str, Any]] = []
    writer = await Writer.open(tmp_path / "outbox.sqlite", 0)
    witness = Witness(writer, lambda: 9, news.append)
    told = renamed(20, kept=8, admitted=20)
    for one in (ack(0, 20), told):
        await witness.take(one)
    changes = await writer.call(writer.outbox.held_log.changes)
    kept = await writer.call(writer.outbox.held_log.held)
    await writer.close()

    assert told.origin is not None
    assert [Renamed(9, 12, note(20), told.checkpoint, told.origin.record)] == changes
    assert Held(PUBLIC, told.checkpoint, 9) == kept
    assert (1, 12, 0) == tuple(news[-1][name] for name in ("log_successions", "log_unproven", "log_alarms"))
    assert any(record.getMessage().startswith("log-renamed") for record in caplog.records)
    assert ["log", "log"] == [one.name for one in log_looks(news[-1], 10)]
