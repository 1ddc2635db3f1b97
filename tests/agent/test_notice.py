"""How the instruments stand, for the technician: as it was signed, and still true when nobody is reached."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.calibration_look import calibration_looks
from agent.notice import FILE, held_notice, keep_notice
from agent.trust import Trust
from calibration.status import State
from protocols.messages import Notice, Noticed
from protocols.wire.codec import seal_notice
from protocols.wire.keys import fingerprint, public_bytes

KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
STREAM = b"s" * 16
NOW_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """A collector whose key was seen."""
    public = public_bytes(KEY)
    found = Trust(fingerprint(public), tmp_path / "collector.pub")
    found.offer(public)
    return found


def noticed(state: str, in_days: float | None = None, name: str = "em-1") -> Noticed:
    return Noticed(name, "A-1", state, 0 if in_days is None else int(NOW_MS + in_days * DAY_MS))


def notice(*instruments: Noticed, issued_ms: int = NOW_MS) -> Notice:
    return Notice(STREAM, issued_ms, "Asia/Shanghai", instruments)


def test_the_newest_notice_is_kept_as_it_was_signed(tmp_path: Path, trust: Trust) -> None:
    """An older one heard again changes nothing; one of another stream, or a damaged file, is none."""
    old, new = notice(noticed("failed")), notice(noticed("in-interval", 9), issued_ms=NOW_MS + 1)
    kept = [keep_notice(tmp_path, trust, one, seal_notice(one, KEY)) for one in (old, new, old)]

    assert [old, new, new] == kept
    assert new == held_notice(tmp_path, trust, STREAM)
    assert held_notice(tmp_path, trust, b"t" * 16) is None
    assert {FILE, "collector.pub"} == {one.name for one in tmp_path.iterdir()}, "no draft is left behind"
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-1])
    assert held_notice(tmp_path, trust, STREAM) is None
    assert old == keep_notice(tmp_path, trust, old, seal_notice(old, KEY))


@pytest.mark.parametrize(
    ("one", "well", "todo", "said"),
    [
        (noticed("in-interval", 200), True, False, "1 instruments in interval, valid through 2026-09-17"),
        (noticed("in-interval", 29), True, True, "em-1: due soon, valid through 2026-03-30"),
        (noticed("due-soon", 0.001), True, True, "em-1: due soon, valid through 2026-03-01"),
        (noticed("in-interval", 0), False, True, "em-1: overdue, valid through 2026-03-01"),
        (noticed("overdue", -40), False, True, "em-1: overdue, valid through 2026-01-20"),
        (noticed("unknown"), False, True, "em-1: nothing proves it"),
        (noticed("failed", -3), False, True, "em-1: failed, valid through 2026-02-26"),
        (noticed("exempt"), True, False, "em-1: exempt"),
        (noticed("suspended"), False, True, "em-1: out of use"),
        (noticed("of a newer program"), False, True, "em-1: nothing proves it"),
    ],
    ids=lambda one: one.state if isinstance(one, Noticed) else "",
)
def test_what_the_technician_reads(one: Noticed, well: bool, todo: bool, said: str) -> None:
    """Also after the connection is gone: what has ended since is overdue."""
    (look,) = calibration_looks(notice(one), NOW_MS)

    assert (well, todo, said) == (look.well, look.todo is not None, look.seen.en)


def test_those_in_interval_are_one_line_with_the_day_that_comes_first() -> None:
    """The others stand alone, before it."""
    many = [replace(noticed("in-interval", 100 + n), instrument=f"em-{n}") for n in range(3)]
    looks = list(calibration_looks(notice(*many, noticed("failed", name="gas")), NOW_MS))

    assert ["gas: failed", "3 instruments in interval, valid through 2026-06-09"] == [one.seen.en for one in looks]
    assert "3 台计量器具在有效期内，有效期至 2026-06-09" == looks[1].seen.zh
    assert [] == list(calibration_looks(None, NOW_MS))


def test_every_state_has_words_in_both_languages() -> None:
    """None is shown by its code."""
    for state in State:
        (look,) = calibration_looks(notice(noticed(state.value, None if state is State.DUE_SOON else 900)), NOW_MS)
        assert state.value not in look.seen.zh
        assert look.seen.zh != look.seen.en
