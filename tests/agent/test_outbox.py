from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.bounds import Backlog, Bounds
from agent.outbox import Outbox, OutboxError, Standing, open_outbox
from agent.parts import SetAside
from agent.results import Result, decode_entry, encode_entry
from agent.room import make_room
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
    Tombstone,
)
from protocols.wire.codec import read_item
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


def fill_with(outbox: Outbox, key: Ed25519PrivateKey, last: int, size: int) -> Standing:
    """Items 1..last of incompressible bytes, with room made before each as a run does."""
    chance, stands = random.Random(7), standing(1)
    outbox.append_plan(replace(item(0), kind=ItemKind.PLAN), b"document", stands)
    longest = 0
    for _ in range(last):
        stands = make_room(outbox, stands, key).standing
        sequence = stands.tail.sequence
        data = chance.randbytes(size)
        sealed = SealedItem(sequence, ItemKind.BATCH, data, hashlib.sha256(data).digest(), sequence, sequence + 1)
        stands = replace(stands, tail=replace(stands.tail, sequence=sequence + 1, previous=sealed.digest))
        outbox.seal(sealed, stands, 0)
        longest = max(longest, outbox.fill().size)
    assert longest <= outbox.bounds.max_bytes
    return stands


def test_three_times_the_cap_leaves_tombstones_for_what_went(tmp_path: Path) -> None:
    """No file passes the cap at any time; plan, tombstones and the newest batches are there, all else is accounted."""
    key, cap = Ed25519PrivateKey.generate(), 2**20
    outbox = Outbox(tmp_path / "outbox.sqlite", Bounds(cap))
    stands = fill_with(outbox, key, 600, 5_300)
    there = outbox.stored(0, 10**6, 10**6)
    found = {sequence: outbox.item(sequence) for sequence in there}
    stones = [
        read_item(one.data, public_bytes(key)) for one in found.values() if one and one.kind is ItemKind.TOMBSTONE
    ]
    dropped = [sequence for stone in stones if isinstance(stone, Tombstone) for sequence in
               range(stone.first, stone.last + 1)]  # fmt: skip

    assert list(range(stands.tail.sequence)) == sorted(there + dropped)
    assert 0 in found
    assert sum(len(one.data) for one in found.values() if one) > cap // 3
    for stone in stones:
        assert isinstance(stone, Tombstone)
        following = found.get(stone.last + 1)
        if following is not None and following.kind is ItemKind.TOMBSTONE:
            kept = read_item(following.data, public_bytes(key))
            assert kept.previous == stone.last_digest
    assert 0 == outbox.backlog().oldest
    outbox.mark_acknowledged(0, (), 1)
    assert 0 == outbox.backlog().acknowledged  # not what the tombstones stand for
    outbox.close()


def test_acknowledged_items_go_first(tmp_path: Path) -> None:
    """At the cap nothing that waits is dropped while something acknowledged is there."""
    key = Ed25519PrivateKey.generate()
    outbox = Outbox(tmp_path / "outbox.sqlite", Bounds(2**20))
    stands = fill_with(outbox, key, 100, 5_300)
    outbox.mark_acknowledged(80, (), 1)
    waiting = outbox.unacknowledged(1000)
    while not (made := make_room(outbox, stands, key)).acknowledged:
        sealed = SealedItem(stands.tail.sequence, ItemKind.BATCH, bytes(50_000), bytes(32), 0, 1)
        stands = replace(stands, tail=replace(stands.tail, sequence=sealed.sequence + 1))
        outbox.seal(sealed, stands, 0)

    assert () == made.dropped
    assert waiting == outbox.unacknowledged(len(waiting))
    outbox.close()


def test_room_that_is_free_goes_back_to_the_disk(tmp_path: Path) -> None:
    """After a long outage has been delivered and forgotten, the files are small again."""
    outbox = Outbox(tmp_path / "outbox.sqlite")
    fill_with(outbox, Ed25519PrivateKey.generate(), 200, 20_000)
    before = outbox.fill().size
    outbox.mark_acknowledged(10**6, (), 1)
    outbox.evict(2)
    while outbox.shrink():
        pass

    assert before > 4_000_000
    assert outbox.fill().size < before // 10
    outbox.close()


def test_the_file_says_when_it_will_be_full(tmp_path: Path) -> None:
    """At the pace of the newest batches; nothing is said where no pace is known."""
    outbox = Outbox(tmp_path / "outbox.sqlite", Bounds(2**20))
    assert (None, None) == (outbox.fill().oldest_ms, outbox.fill().full_in_s)
    outbox.append_plan(replace(item(0), kind=ItemKind.PLAN), b"document", standing(1))
    for sequence in range(1, 4):
        outbox.seal(item(sequence, bytes(1_000)), standing(sequence + 1), 0)
    outbox.mark_acknowledged(1, (), 9)
    fill = outbox.fill()

    assert 2_000 == fill.oldest_ms
    assert (outbox.bounds.high - 2_000) // 1_000 == fill.full_in_s
    outbox.close()


def test_what_is_set_aside_has_a_bound(tmp_path: Path) -> None:
    """The oldest results lose their bytes; the lines that say what they were stay."""
    outbox = Outbox(tmp_path / "outbox.sqlite", Bounds(2**20))
    outbox.append_plan(item(0), b"document", standing(1))
    for sequence in range(1, 7):
        aside = SetAside(sequence, 0, 1, "refused", 5, bytes(20_000))
        outbox.seal_all([item(sequence)], standing(sequence + 1), 0, [aside])

    assert [0, 0, 0, 20_000, 20_000, 20_000] == [len(one.entry) for one in outbox.set_aside()]
    assert 30 == outbox.results_set_aside()
    outbox.close()


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
