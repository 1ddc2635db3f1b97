from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.outbox import Backlog, Outbox, OutboxError, Standing, open_outbox
from agent.results import Result, decode_entry, encode_entry
from agent.spans import SealedItem, Tail
from protocols.records import (
    Clock,
    ClockState,
    CounterState,
    Event,
    EventKind,
    Fate,
    FoldState,
    HeldSample,
    ItemKind,
    PointState,
)
from protocols.wire.keys import make_key, public_bytes
from tests.agent.outbox_child import FIRST_SLOT
from tests.agent.stream import batches, read_stream, stored

COUNTER = CounterState(4_900, 12, 4_000, 3, gap=True, candidates=((4_950, 1),))
FOLD = FoldState(5_000, (PointState(7, COUNTER), PointState(9, None, (HeldSample(4_990, 9),))))


def standing(sequence: int = 1, *, clean: bool = False) -> Standing:
    return Standing(
        Tail(b"s" * 16, sequence, bytes([sequence]) * 32, 5_000, b"p" * 32, FOLD),
        Clock(b"b" * 16, -123, ClockState.HOLDOVER, 50),
        clean,
    )


def item(sequence: int, data: bytes = b"data") -> SealedItem:
    begin_ms = 1_000 * sequence
    return SealedItem(sequence, ItemKind.BATCH, data, bytes([sequence]) * 32, begin_ms, begin_ms + 1_000)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "outbox.sqlite")
    yield opened
    opened.close()


def test_a_new_outbox_has_nothing(outbox: Outbox) -> None:
    """No stream, nothing journalled, nothing waiting."""
    assert outbox.standing() is None
    assert [] == outbox.journalled()
    assert Backlog(0, 0, -1, -1) == outbox.backlog()


def test_it_writes_ahead_and_in_full_sync(outbox: Outbox) -> None:
    """What is committed survives a power cut: WAL mode and full synchronisation."""
    assert ("wal", 2) == (
        outbox._db.execute("pragma journal_mode").fetchone()[0],
        outbox._db.execute("pragma synchronous").fetchone()[0],
    )


def test_what_was_sealed_is_there_after_reopening(tmp_path: Path) -> None:
    """Items, state and journal come back as they were, however often the file is opened."""
    path = tmp_path / "outbox.sqlite"
    first = Outbox(path)
    first.append_plan(item(0), b"document", standing(1))
    first.seal(item(1, b"batch"), standing(2, clean=True), 1_000)
    first.journal([(2_000, b"entry")])
    first.close()
    Outbox(path).close()
    again = Outbox(path)

    assert standing(2, clean=True) == again.standing()
    assert item(1, b"batch") == again.item(1)
    assert b"document" == again.document(b"p" * 32)
    assert [b"entry"] == again.journalled()
    again.close()


def test_sealing_ends_the_journal_up_to_its_edge(outbox: Outbox) -> None:
    """Entries of the next span stay."""
    outbox.append_plan(item(0), b"document", standing(1))
    outbox.journal([(1_000, b"a"), (2_000, b"b")])
    outbox.journal([(1_000, b"c")])
    outbox.seal(item(1), standing(2), 1_000)

    assert [b"b"] == outbox.journalled()


def test_a_seal_that_fails_changes_nothing(outbox: Outbox) -> None:
    """A sequence that is there already: item, state and journal stay as they were."""
    outbox.append_plan(item(0), b"document", standing(1))
    outbox.journal([(1_000, b"a")])
    with pytest.raises(sqlite3.IntegrityError):
        outbox.seal(item(0, b"other"), standing(9), 1_000)

    assert standing(1) == outbox.standing()
    assert [b"a"] == outbox.journalled()
    assert item(0) == outbox.item(0)


def test_acknowledged_is_what_the_collector_names(outbox: Outbox) -> None:
    """The contiguous part and the ranges beyond it; an acknowledgement twice counts once."""
    outbox.append_plan(item(0), b"document", standing(1))
    for sequence in range(1, 8):
        outbox.seal(item(sequence), standing(sequence + 1), 0)

    assert 5 == outbox.mark_acknowledged(2, ((4, 5),), 9)
    assert 0 == outbox.mark_acknowledged(2, ((4, 5),), 10)
    assert [3, 6, 7] == outbox.unacknowledged(10)
    assert [3] == outbox.unacknowledged(1)
    assert Backlog(3, 12, 3, 2) == outbox.backlog()


def test_only_acknowledged_items_past_their_retention_are_evicted(outbox: Outbox) -> None:
    """Nothing goes that the collector has not acknowledged, however old; the newest item stays."""
    outbox.append_plan(item(0), b"document", standing(1))
    for sequence in range(1, 5):
        outbox.seal(item(sequence), standing(sequence + 1), 0)
    outbox.mark_acknowledged(1, (), 100)
    outbox.mark_acknowledged(1, ((3, 4),), 200)

    assert 2 == outbox.evict(200)
    assert [2, 3, 4] == outbox.stored(0, 99, 10)
    assert 1 == outbox.evict(10**12)
    assert [2, 4] == outbox.stored(0, 99, 10)


def test_a_damaged_file_is_moved_aside(tmp_path: Path) -> None:
    """Its bytes are kept under another name and an empty outbox takes its place."""
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"not a database, but evidence all the same" * 200)
    opened, aside = open_outbox(path, 4711)

    assert tmp_path / "outbox.sqlite.damaged-4711" == aside
    assert aside.read_bytes().startswith(b"not a database")
    assert opened.standing() is None
    opened.close()


def test_a_torn_page_is_noticed(tmp_path: Path) -> None:
    """A page overwritten in the middle of the file is damage, not data."""
    path = tmp_path / "outbox.sqlite"
    opened = Outbox(path)
    opened.append_plan(item(0), b"d" * 50_000, standing(1))
    for sequence in range(1, 50):
        opened.seal(item(sequence, b"x" * 2_000), standing(sequence + 1), 0)
    opened.close()
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data) - 4096, 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)
    again, aside = open_outbox(path, 1)
    again.close()

    assert aside is not None


def test_a_newer_format_is_refused_not_moved(tmp_path: Path) -> None:
    """A file of a newer agent stays where it is."""
    path = tmp_path / "outbox.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(OutboxError, match=r"format 99.*newer agent"):
        open_outbox(path, 1)

    assert path.exists()


def test_a_journal_entry_comes_back() -> None:
    """Results and events survive the journal's encoding."""
    results = [Result(0, 5, Fate.GOOD, 12, b"\x01\x02"), Result(3, 6, Fate.EXCEPTION | 2 << 8)]
    events = [Event(EventKind.AGENT_START, 99, "", (("after", "crash"), ("n", 3)))]

    assert (results, events) == decode_entry(encode_entry(results, events))


def test_killed_at_random_nothing_committed_is_lost_or_doubled(tmp_path: Path) -> None:
    """SIGKILL at ten random moments: every slot told as committed is there once, the chain holds."""
    chance, path, key_file = random.Random(1), tmp_path / "outbox.sqlite", tmp_path / "key"
    public = public_bytes(make_key(key_file))
    told = FIRST_SLOT - 1
    for _ in range(10):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.agent.outbox_child", str(path), str(key_file)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(chance.randrange(1, 60))]
        child.kill()
        lines += child.stdout.read().splitlines()
        child.wait()
        slots = [int(line.split()[1]) for line in lines if line.startswith("slot") and line.strip() != "slot"]
        told = max([told, *slots[:-1]])  # the last line may be cut short

    there: list[int] = []
    for batch in batches(read_stream(stored(path), public)):
        (samples,) = batch.samples
        assert np.all(samples.fates == Fate.GOOD)
        there += list(range(samples.first_slot, samples.first_slot + samples.fates.size))
        assert [slot - FIRST_SLOT for slot in there[-samples.fates.size :]] == samples.words[:, 0].tolist()
    reopened = Outbox(path)
    there += [result.slot for entry in reopened.journalled() for result in decode_entry(entry)[0]]
    reopened.close()

    assert list(range(FIRST_SLOT, FIRST_SLOT + len(there))) == there
    assert told <= there[-1]
    assert len(there) > 100
