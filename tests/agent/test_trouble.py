"""An agent whose disk is full, and one whose readings no batch can hold: it goes on, and says what was lost."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent import gather, pipeline, service, spans
from agent.bounds import Bounds
from agent.clock import KernelClock
from agent.config import Config, load_config
from agent.outbox import Outbox
from agent.parts import Sealer, SetAside
from agent.results import Result, decode_entry, encode_entry
from agent.service import OUTBOX, serve
from agent.writer import Writer
from protocols.records import Batch, EventKind, Fate
from protocols.windows.fold import fold
from tests.agent.rig import PLAN
from tests.agent.stream import batches
from tests.agent.test_commands import invoke
from tests.agent.test_service import (
    assert_every_slot_counted,
    assert_polled_throughout,
    config,
    count,
    events,
    fates,
    meter,
    noted,
    run_for,
    sealed,
    stream_of,
)

__all__ = ["config", "meter"]  # fixtures


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Writer]:
    """The agent in this process, with its outbox at hand; stopped cleanly at the end."""
    opened: list[Writer] = []
    made = Writer.open

    async def remember(path: Path, now_ms: int, bounds: Bounds) -> Writer:
        opened.append(await made(path, now_ms, bounds))
        return opened[0]

    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "open", remember)
        task = asyncio.create_task(serve(config, KernelClock(), stop))
        await sealed(config, 2)
    try:
        yield opened[0]
    finally:
        stop.set()
        await task


async def told(log: pytest.LogCaptureFixture, word: str, times: int = 1, timeout_s: float = 15) -> list[str]:
    """Wait for log lines that begin with a word."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = [r.getMessage() for r in log.records if r.getMessage().startswith(word)]
            if len(found) >= times:
                return found
            await asyncio.sleep(0.02)


async def set_pages(writer: Writer, most: int) -> None:
    """Let the outbox grow up to so many pages."""
    await writer.call(lambda: writer.outbox._db.execute(f"pragma max_page_count = {most}").fetchone())


async def read_only(writer: Writer, on: int) -> None:
    """Let SQLite refuse every write as it does on a disk that turned read-only, or no more."""
    await writer.call(lambda: writer.outbox._db.execute(f"pragma query_only = {on}").fetchall())


async def fill(writer: Writer) -> None:
    """The file may not grow any more, and what is free inside it is used up."""
    await set_pages(writer, 1)
    await writer.call(_use_up, writer.outbox)


def _use_up(outbox: Outbox) -> None:
    """Spend the free pages and the room on the last page of the journal."""
    size = 2_000
    while size:
        try:
            outbox._db.execute("insert into plans (digest, document) values (randomblob(8), zeroblob(?))", [size])
            outbox._db.conn.commit()
        except sqlite3.OperationalError:
            outbox._db.conn.rollback()
            size //= 2


def set_aside_in(config: Config) -> list[SetAside]:
    outbox = Outbox(config.state_dir / OUTBOX)
    try:
        return outbox.set_aside()
    finally:
        outbox.close()


def gaps(items: list[Batch]) -> list[dict[str, Any]]:
    return [dict(event.details) for event in events(items) if event.kind is EventKind.GAP]


async def test_a_full_outbox_is_waited_out_in_memory(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Journal and seal fail while SQLite says full; polling goes on, and afterwards not one slot is missing."""
    caplog.set_level("INFO", "agent")
    monkeypatch.setattr(pipeline, "DISK_RETRY_S", 0.2)
    async with running(config) as writer:
        await fill(writer)
        await told(caplog, "seal-failed", 2)
        failed = len(await told(caplog, "journal-failed"))
        before = count(config.state_dir / OUTBOX, "items")
        await told(caplog, "seal-failed", 5)
        await noted(config, "the disk refuses: database or disk is full; readings wait in memory")
        assert before == count(config.state_dir / OUTBOX, "items")
        await set_pages(writer, 2**30)
        await sealed(config, before + 3)
        await noted(config, "")
    read = batches(stream_of(config))

    assert failed > 0
    assert 1 == len([e for e in events(read) if e.kind is EventKind.AGENT_START])
    assert [] == gaps(read)
    assert_polled_throughout(read[1:-1])
    assert_every_slot_counted(read)


async def test_without_a_disk_for_long_the_oldest_readings_go_and_are_counted(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of memory is kept; the stream says what was dropped and why, the newest readings are in it."""
    caplog.set_level("INFO", "agent")
    monkeypatch.setattr(pipeline, "DISK_RETRY_S", 0.2)
    monkeypatch.setattr(gather, "HELD_BYTES", 1)
    monkeypatch.setattr(gather.Gathering.__init__, "__defaults__", (1,))
    async with running(config) as writer:
        await fill(writer)
        await told(caplog, "memory-full", 2)
        before = count(config.state_dir / OUTBOX, "items")
        await set_pages(writer, 2**30)
        await sealed(config, before + 4)
    read = batches(stream_of(config))
    dropped = fates(read)[Fate.DROPPED_BY_CAP]

    assert dropped >= 2 * 2 * 5
    assert 0 == dropped % (2 * 5)
    assert len(gaps(read)) >= 2
    assert {pipeline.DISK_BEHIND} == {gap["reason"] for gap in gaps(read)}
    assert Fate.GOOD in {slot.fate for slot in read[-1].slots}
    assert_every_slot_counted(read)


async def test_a_processor_that_is_behind_is_not_told_as_a_full_disk(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealing takes longer than the spans last: what goes is counted, and log and stream name the processor."""
    quick = Sealer.parts

    def slow(sealer: Sealer, *span: Any) -> Any:
        time.sleep(4.5)
        return quick(sealer, *span)

    caplog.set_level("INFO", "agent")
    monkeypatch.setattr(gather.Gathering.__init__, "__defaults__", (1,))
    async with running(config) as writer:
        monkeypatch.setattr(Sealer, "parts", slow)
        lost = await told(caplog, "memory-full", 2)
        monkeypatch.setattr(Sealer, "parts", quick)
        before = count(config.state_dir / OUTBOX, "items")
        await sealed(config, before + 4)
        assert writer.damaged is None
    read = batches(stream_of(config))

    assert all("the processor is behind" in line and "disk" not in line for line in lost)
    assert {pipeline.PROCESSOR_BEHIND} == {gap["reason"] for gap in gaps(read)}
    assert_every_slot_counted(read)


async def test_a_disk_that_takes_no_byte_more_is_waited_out(config: Config, tmp_path: Path) -> None:
    """The real program under a real limit on file size: it lives, says why, and goes on when there is room."""
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", "run", "--config", str(config.file), stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None

        async def copy(stream: asyncio.StreamReader) -> None:
            async for text in stream:
                sink.write(text)
                sink.flush()

        copying = asyncio.create_task(copy(process.stderr))
        await sealed(config, 3)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        async with asyncio.timeout(15):
            while b"journal-failed" not in log.read_bytes() or b"seal-failed" not in log.read_bytes():
                await asyncio.sleep(0.05)
        before = count(config.state_dir / OUTBOX, "items")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await sealed(config, before + 3)
        process.send_signal(signal.SIGTERM)
        assert 0 == await process.wait()
        await copying
    read = batches(stream_of(config))

    assert_polled_throughout(read[1:-1])
    assert 1 == len([e for e in events(read) if e.kind is EventKind.AGENT_START])
    assert_every_slot_counted(read)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that can be filled up and made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "disk", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a disk of its own needs the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk_and_one_that_turned_read_only_are_waited_out(
    config: Config, small_disk: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real file system without room, then a file that takes no write: polling goes on, and no slot is missing."""
    caplog.set_level("INFO", "agent")
    monkeypatch.setattr(pipeline, "DISK_RETRY_S", 0.2)
    config.file.write_text(f'state_dir = "{small_disk}/state"\n{config.file.read_text()}')
    config = load_config(config.file)
    async with running(config) as writer:
        rest = small_disk / "rest"
        with suppress(OSError), rest.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        await told(caplog, "seal-failed", 2)
        rest.unlink()
        await sealed(config, count(config.state_dir / OUTBOX, "items") + 2)
        failed = len(await told(caplog, "seal-failed", 2))
        await read_only(writer, 1)
        await told(caplog, "seal-failed", failed + 2)
        await read_only(writer, 0)
        await sealed(config, count(config.state_dir / OUTBOX, "items") + 2)
    read = batches(stream_of(config))

    assert_polled_throughout(read[1:-1])
    assert [] == gaps(read)
    assert_every_slot_counted(read)


async def test_a_start_on_a_full_disk_waits_and_says_so(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is polled before the start is safe; with room again it begins as ever."""
    caplog.set_level("INFO", "agent")
    monkeypatch.setattr(service, "DISK_RETRY_S", 0.2)
    real, refusals = Outbox.begin_run, [3]

    def begin_run(self: Outbox, *arguments: Any) -> None:
        if refusals[0]:
            refusals[0] -= 1
            raise sqlite3.OperationalError("database or disk is full")
        real(self, *arguments)

    monkeypatch.setattr(Outbox, "begin_run", begin_run)
    await run_for(config, 3)
    read = batches(stream_of(config))

    (waiting,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("waiting")]
    assert "database or disk is full; check the disk of the state folder" in waiting
    assert [EventKind.AGENT_START, EventKind.AGENT_STOP] == [event.kind for event in events(read)]
    assert fates(read)[Fate.GOOD] > 0
    assert_every_slot_counted(read)


async def test_a_span_the_fold_refuses_costs_its_answers_and_nothing_else(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The running agent seals a gap with the reason, keeps the raw results, and goes on."""
    caplog.set_level("INFO", "agent")
    left = [1]
    async with running(config) as writer:

        def refusing(bound: Any, state: Any, samples: Any, *rest: Any) -> Any:
            if left[0] and any(one.words.size for one in samples):
                left[0] -= 1
                raise OverflowError("a mass of 10**30 mg")
            return fold(bound, state, samples, *rest)

        monkeypatch.setattr(spans, "fold", refusing)
        (line,) = await told(caplog, "set-aside")
        await sealed(config, count(config.state_dir / OUTBOX, "items") + 2)
        await writer.call(writer.outbox.backlog)
    read = batches(stream_of(config))
    (aside,) = set_aside_in(config)
    code, listed = await asyncio.to_thread(invoke, "outbox", "--set-aside", "--config", config.file)
    status = json.loads((await asyncio.to_thread(invoke, "status", "--json", "--config", config.file))[1])

    assert "reason='a mass of 10**30 mg'" in line
    assert "emitrace-agent outbox --set-aside" in line
    answers = sum(result.fate == Fate.GOOD for result in decode_entry(aside.entry)[0])
    assert [{"reason": "a mass of 10**30 mg", "set_aside": answers}] == gaps(read)
    assert answers > 0
    assert 2 * answers == fates(read)[Fate.DROPPED_BY_CAP]
    assert_polled_throughout([read[-2]])
    assert aside.results == len(decode_entry(aside.entry)[0])
    assert aside.results == status["set_aside"]
    assert 1 == code
    assert "a mass of 10**30 mg" in listed
    assert_every_slot_counted(read)


async def test_a_journal_that_cannot_be_sealed_does_not_keep_the_agent_from_starting(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """Entries that are no entries and answers out of order are set aside at the start, once; then it runs."""
    await run_for(config, 1.3)
    outbox = Outbox(config.state_dir / OUTBOX)
    standing = outbox.standing()
    assert standing is not None
    slot = -(-standing.tail.span_end_ms // 200)
    words = bytes(2 * 22)
    disordered = [Result(0, slot, Fate.GOOD, 900, words), Result(0, slot + 1, Fate.GOOD, 3, words)]
    entries = [b"\xff garbage", encode_entry([Result(9, slot, Fate.GOOD, 3, words)], ()), encode_entry(disordered, ())]
    outbox.journal([(0, entry) for entry in entries])
    outbox.close()
    caplog.clear()
    await run_for(config, 3)  # until its clock has passed the answer that came 0.9 s late, readings are set aside
    await run_for(config, 0.5)
    read = batches(stream_of(config))
    aside = [one for one in set_aside_in(config) if one.reason != service.OVERLAPS]
    told = [r.getMessage() for r in caplog.records if r.getMessage().startswith("set-aside")]

    assert entries[:2] == [one.entry for one in aside[:2]]
    assert (disordered, []) == decode_entry(aside[2].entry)
    assert 3 == len(aside)
    assert 3 == len([text for text in told if service.OVERLAPS not in text])
    assert "request 9 of a read plan of 1" in aside[1].reason
    assert any("not in time order" in str(gap["reason"]) for gap in gaps(read))
    assert any(gap.get("set_aside_entries") == 2 for gap in gaps(read))
    assert 2 * 2 == fates(read)[Fate.DROPPED_BY_CAP]
    last_gap = max(n for n, batch in enumerate(read) if any(event.kind is EventKind.GAP for event in batch.events))
    assert Fate.GOOD in {slot.fate for batch in read[last_gap + 1 :] for slot in batch.slots}
    assert_every_slot_counted(read)


async def test_a_batch_too_large_for_a_message_goes_in_parts(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running agent cuts it at window edges and loses nothing."""
    monkeypatch.setattr("protocols.wire.limits.SLOTS", 5)
    config.plan.write_text(PLAN.replace("batch_s = 1", "batch_s = 3"))
    await run_for(config, 5)
    read = batches(stream_of(config))

    assert 5 == max(samples.fates.size for batch in read for samples in batch.samples)
    assert {0} == {batch.to_ms % 1_000 for batch in read[:-1]}
    assert [] == gaps(read)
    assert_every_slot_counted(read)


