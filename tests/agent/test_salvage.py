"""A damaged outbox: what can be read of it leaves as it was sealed, and its journal becomes a sealed end."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import Config
from agent.identity import Identity
from agent.outbox import Outbox
from agent.results import decode_entry
from agent.salvage import pending, save_end, save_items
from agent.service import OUTBOX
from agent.spans import SealedItem
from agent.startup import Head
from agent.writer import Writer
from protocols.records import Batch, EventKind, Fate
from protocols.wire.codec import item_digest, read_item
from protocols.wire.keys import make_key, public_bytes
from tests.agent.stream import batches, stored
from tests.agent.test_service import config, events, meter, run_for, stream_of

__all__ = ["config", "meter"]  # fixtures


def damage(path: Path, table: str, least: int = 1) -> int:
    """Overwrite leaves in the middle of a table; how many."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        page = connection.execute("pragma page_size").fetchone()[0]
        root = connection.execute("select rootpage from sqlite_master where name = ?", [table]).fetchone()[0]
    data = bytearray(path.read_bytes())
    interior = data[(root - 1) * page : root * page]
    assert interior[0] == 5, "the table fits on one page"
    cells = [int.from_bytes(interior[12 + 2 * k : 14 + 2 * k]) for k in range(int.from_bytes(interior[3:5]))]
    leaves = [int.from_bytes(interior[at : at + 4]) for at in cells]
    chosen = leaves[len(leaves) // 2 : len(leaves) // 2 + least]
    for leaf in chosen:
        data[(leaf - 1) * page : leaf * page] = b"\xff" * page
    path.write_bytes(data)
    return len(chosen)


@dataclass(frozen=True, slots=True)
class Before:
    """An outbox as it was when its process was killed."""

    path: Path
    key: Ed25519PrivateKey
    items: list[SealedItem]
    slots: list[int]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Before:
    """Written by a process of its own, killed with a journal that is not sealed."""
    folder = tmp_path_factory.mktemp("killed")
    path, key = folder / OUTBOX, make_key(folder / "key")
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.agent.outbox_child", str(path), str(folder / "key")],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    lines = iter(child.stdout.readline, "")
    sealed = 0
    for text in lines:
        sealed += text.startswith("sealed")
        if sealed >= 40 and text.startswith("slot"):
            break
    child.kill()
    child.wait()
    outbox = Outbox(path)
    slots = [result.slot for entry in outbox.journalled() for result in decode_entry(entry)[0]]
    outbox.mark_acknowledged(2, (), 1)
    outbox.close()
    assert slots
    return Before(path, key, stored(path), slots)


async def rescue(path: Path, key: Ed25519PrivateKey, known: Head | None = None) -> tuple[Head | None, list[SealedItem]]:
    """Open a damaged file as the agent does; the head it learns and the salvaged items that wait, in stream order."""
    writer = await Writer.open(path, 1)
    try:
        (file,) = await pending(writer)
        head = await save_end(writer, file, Identity(key), "agent", known)
        await save_items(writer, file, Identity(key))
        again = await writer.call(writer.outbox.waiting, 10_000, 8)
        assert [] == await pending(writer)
        found = [await writer.call(writer.outbox.item, one) for one in again[0]]
    finally:
        await writer.close()
    return head, sorted((one for one in found if one is not None), key=lambda one: one.sequence)


async def test_what_can_be_read_is_kept_byte_for_byte_and_the_journal_is_sealed(killed: Before, tmp_path: Path) -> None:
    """Every waiting item outside the torn page is there; the last one holds the journal and is the head to name."""
    path = tmp_path / OUTBOX
    path.write_bytes(killed.path.read_bytes())
    damage(path, "items")
    head, found = await rescue(path, killed.key)
    *before, end = found
    sealed = read_item(end.data, public_bytes(killed.key))
    lost = {one.sequence for one in killed.items[3:]} - {one.sequence for one in before}

    assert set(before) <= set(killed.items[3:])
    assert 1 <= len(lost) < len(killed.items) // 2
    assert isinstance(sealed, Batch)
    assert (killed.items[-1].sequence + 1, killed.items[-1].digest) == (sealed.sequence, sealed.previous)
    (samples,) = sealed.samples
    good = [samples.first_slot + at for at, fate in enumerate(samples.fates) if fate == Fate.GOOD]
    assert killed.slots == good
    assert head == Head(sealed.stream_id, sealed.sequence, item_digest(end.data))


async def test_a_journal_is_not_sealed_behind_a_head_that_is_known_to_be_newer(killed: Before, tmp_path: Path) -> None:
    """The file went back in time: another item with that number exists, so the results are set aside."""
    path = tmp_path / OUTBOX
    path.write_bytes(killed.path.read_bytes())
    damage(path, "items")
    newer = Head(bytes(16), killed.items[-1].sequence + 1, b"d" * 32)
    head, found = await rescue(path, killed.key, newer)
    outbox = Outbox(path)
    aside = outbox.set_aside()
    outbox.close()

    assert newer == head
    assert set(found) <= set(killed.items)
    assert killed.slots == [result.slot for one in aside for result in decode_entry(one.entry)[0]]
    assert all("the state of its stream was lost" in one.reason for one in aside)


async def test_nothing_to_read_is_no_obstacle(tmp_path: Path) -> None:
    """A file of noise gives nothing, is gone through once, and what the status file told stands."""
    path, known = tmp_path / OUTBOX, Head(bytes(16), 7, bytes(32))
    path.write_bytes(b"noise" * 5_000)

    assert (known, []) == await rescue(path, Ed25519PrivateKey.generate(), known)


async def test_the_agent_goes_on_in_a_new_stream_with_the_old_items_behind(config: Config) -> None:
    """The new stream names the last item of the old; what was sealed before waits for the collector as it was."""
    await run_for(config, 5)
    path = config.state_dir / OUTBOX
    before = stored(path)
    damage(path, "items")
    await run_for(config, 2)
    outbox = Outbox(path)
    keys = [key for key in outbox.waiting(10_000, 8)[0] if key < 0]
    salvaged = [one for key in keys if (one := outbox.item(key)) is not None]
    outbox.close()
    told = events(batches(stream_of(config, previous=before[-1].digest)))[0]

    assert EventKind.NEW_STREAM == told.kind
    assert before[-1].sequence == dict(told.details)["sequence"]
    assert 0 < len(salvaged) < len(before)
    assert set(salvaged) <= set(before)
