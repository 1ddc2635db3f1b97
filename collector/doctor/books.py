"""The database: sound, consistent with its log, and what it says about agents, batches, hours and certificates."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, func, select
from sqlalchemy.exc import DatabaseError

from collector.books import books_url
from collector.config import Config
from collector.doctor.results import Result
from collector.lock import is_held
from collector.log import clean
from collector.store.calibration import EVENT
from collector.store.comparisons import verdicts
from collector.store.endings import endings
from collector.store.healings import current_healing
from collector.store.log import read_frontier
from collector.store.plans import PlanBook
from collector.store.refresh import broken_cells
from collector.store.schema import calibration_records, certificates, dirty_hours, items, users
from collector.store.soundness import fault_of_schema, faults_of_log, faults_of_pages, reading_books, schema_version
from collector.store.tallies import count_anew, read_tallies
from collector.store.timestamps import to_be_stamped
from collector.store.vitals import AgentVitals, read_agents, read_sizes
from protocols.errors import EmitraceError

SILENT_MS = 3_600_000
AHEAD_OF_TIME_MS = 300_000
LATE_STAMP_MS = 2 * 3_600_000
DAYS_LEFT = 30
DAY_MS = 86_400_000
HOW_TO_MIGRATE = "Older books: stop serve and run emitrace-collector migrate. Newer ones: use the newer program."
STUCK_S = 6.0
"""Three rounds of the ledger; a cell that has not moved in that time does not move."""


def look_at_books(config: Config, now_ms: int, *, deep: bool) -> Iterator[Result]:
    """Everything that the database file says; ``deep`` also reads every row and hashes every leaf."""
    try:
        url = books_url(config)
    except EmitraceError as error:
        yield Result("database", error.subject, clean(error.seen), error.hint)
        return
    is_file = url.get_backend_name() == "sqlite"
    where = str(Path(url.database or "").resolve()) if is_file else url.render_as_string(hide_password=True)
    if is_file and not Path(where).is_file():
        hint = "Run emitrace-collector serve, which makes it, or restore a backup."
        yield Result("database", where, "is not there", hint)
        return
    hint = "Restore the last backup; keep this file." if is_file else "Check server, database, user and password."
    try:
        with reading_books(url) as connection:
            sound = list(_soundness(connection, where, deep=deep))
            yield from sound
            if not any(one.is_finding for one in sound):
                yield from _contents(connection, where, now_ms)
                yield from _stamps(connection, where, config.settings.transparency.timestamp_url, now_ms)
                yield from _broken(connection)
        if not any(one.is_finding for one in sound):
            yield _dirty(config, url, where)
    except DatabaseError as error:
        yield Result("database", where, clean(str(error.orig).strip()), hint)


def _soundness(connection: Connection, where: str, *, deep: bool) -> Iterator[Result]:
    faults = faults_of_pages(connection, deep=deep)
    hint = "Stop serve, keep the file, and restore the last backup; agents send what came since."
    said = "; ".join(faults) or ("sound, every index compared" if deep else "sound")
    if connection.dialect.name == "postgresql":
        said = "the server's own; pg_amcheck compares every index with its table"
    yield Result("database pages", where, said, hint if faults else "")
    if faults:
        return
    version = schema_version(connection)
    unknown = fault_of_schema(version)
    yield Result("schema", where, unknown or f"version {version}", HOW_TO_MIGRATE if unknown else "")
    if unknown:
        return
    faults = faults_of_log(connection, deep=deep)
    tree = read_frontier(connection)
    said = "; ".join(faults) or f"{tree.size} leaves, root {tree.root.hex()}{', grown anew from them' if deep else ''}"
    yield Result("evidence log", where, said, hint if faults else "")
    if deep:
        kept, anew = read_tallies(connection), count_anew(connection)
        wrong = sorted(key for key in kept.keys() | anew.keys() if kept.get(key, 0) != anew.get(key, 0))
        said = ", ".join(f"{name} {label}: {kept.get((name, label), 0)} kept, {anew.get((name, label), 0)} counted"
                         for name, label in wrong)  # fmt: skip
        yield Result("tallies", where, said or "as counted anew", hint if wrong else "")


def _contents(connection: Connection, where: str, now_ms: int) -> Iterator[Result]:
    healing = current_healing(connection)
    since = "" if healing is None else datetime.fromtimestamp(healing.opened_ms / 1000, UTC).isoformat("T", "seconds")
    yield Result(
        "healing", where, "not behind anything signed" if healing is None else f"{healing.cause}, since {since}",
        "" if healing is None else "emitrace-collector healing show says what is missing: nothing is signed meanwhile.",
    )  # fmt: skip
    tallies = read_tallies(connection)
    stands = verdicts(connection)
    yield Result(
        "recomputation", where, f"{stands.different} batches differ from what the edge stated, {stands.waiting} wait",
        "The overview lists each difference. Ask the technician what happened then." if stands.different else "",
    )  # fmt: skip
    refused = {label: count for (name, label), count in sorted(tallies.items()) if name == "quarantine"}
    yield Result(
        "quarantine", where, ", ".join(f"{count} {reason}" for reason, count in refused.items()) or "empty",
        "emitrace-collector quarantine lists them with their reasons." if refused else "",
    )  # fmt: skip
    events = calibration_records.c.kind == EVENT
    for name, queries, hint in (
        ("accounts", [select(func.count()).select_from(users)],
         "emitrace-collector user add NAME --role admin: nobody can sign in."),
        ("certificates", [select(func.count()).select_from(certificates), select(func.count()).where(events)],
         "emitrace-collector certificates add, or enter calibration events: every figure now rests on nothing known."),
    ):  # fmt: skip
        count = sum(int(connection.scalar(query) or 0) for query in queries)
        yield Result(name, where, f"{count} entered", "" if count else hint)
    oldest, newest = (
        connection.execute(select(items.c.received_ms, items.c.to_ms).order_by(order).limit(1)).first()
        for order in (items.c.id, items.c.id.desc())
    )
    yield _clock(newest, now_ms)
    if oldest is not None and newest is not None:
        yield _growth(where, read_sizes(connection).database, newest.received_ms - oldest.received_ms)
    ended = endings(connection)
    vitals = read_agents(connection, PlanBook())
    yield from _agents(tuple(one for one in vitals if one.agent_id not in ended), now_ms)


def _stamps(connection: Connection, where: str, url: str, now_ms: int) -> Iterator[Result]:
    """Whether an authority goes on stamping the checkpoints."""
    if not url:
        return
    waiting = to_be_stamped(connection)
    late = waiting is not None and now_ms - waiting.at_ms > LATE_STAMP_MS
    seen = "every checkpoint has one" if waiting is None else f"the checkpoint of {waiting.head.size} leaves waits"
    if late and waiting is not None:
        seen += f" since {datetime.fromtimestamp(waiting.at_ms / 1000, UTC).isoformat(timespec='seconds')}"
    hint = f"Look for timestamp-failed in the service's log, and whether {url} answers." if late else ""
    yield Result("time stamps", where, seen, hint)


def _clock(newest: Any, now_ms: int) -> Result:
    seen = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
    if newest is None:
        return Result("clock", "this machine", seen)
    if newest.received_ms > now_ms + 1000:
        hint = "Set the clock (timedatectl set-ntp true): it went back, or it was wrong when the newest item came."
        return Result("clock", "this machine", f"{seen}, before the newest item was received", hint)
    if newest.to_ms is not None and newest.to_ms > now_ms + AHEAD_OF_TIME_MS:
        hint = "Compare both clocks with a third: this machine's is slow or the agent's is fast."
        return Result("clock", "this machine", f"{seen}, the newest batch ends later", hint)
    return Result("clock", "this machine", seen)


def _growth(where: str, size: int, age_ms: int) -> Result:
    """How long the disk lasts if the books go on growing as they have on average."""
    if age_ms < DAY_MS:
        return Result("disk", where, "less than a day of items: growth is not known yet")
    if not Path(where).is_file():
        return Result("disk", where, f"books of {size >> 20} MiB on a server, whose disk is not seen from here")
    left = int(shutil.disk_usage(Path(where).parent).free / (size / (age_ms / DAY_MS)))
    seen = f"books of {size >> 20} MiB; at their growth the disk is full in {left} days"
    return Result("disk", where, seen, "Move the books to a larger disk." if left < DAYS_LEFT else "")


def _agents(vitals: tuple[AgentVitals, ...], now_ms: int) -> Iterator[Result]:
    if not vitals:
        yield Result("agents", "the books", "none is registered", "emitrace-collector agents add")
    for one in vitals:
        where = f"agent {one.agent_id[:12]} ({one.name})"
        if one.last_seen_ms is None:
            hint = "Is it running, is its broker this one, is its key the one registered?"
            yield Result("agents", where, "was never heard of", hint)
            continue
        age_ms = now_ms - one.last_seen_ms
        silent = age_ms > SILENT_MS
        hint = "Ask the technician: emitrace-agent status on the device says why." if silent else ""
        yield Result("agents", where, f"last heard of {max(age_ms, 0) // 60_000} minutes ago", hint)
        if one.ahead:
            seen = f"{one.ahead} items wait behind a gap after item {one.contiguous}"
            yield Result("agents", where, seen, "Wait a minute: they are asked for. If it stays, the agent lacks them.")


def _broken(connection: Connection) -> Iterator[Result]:
    """Hours that could not be made of their windows."""
    for one in broken_cells(connection, 10):
        where = f"agent {one.agent_id[:12]}, {datetime.fromtimestamp(one.from_ms / 1000, UTC).isoformat()}"
        hint = "This hour is in no figure. Ask the technician what the agent did then; the batches are safe."
        yield Result("hours", where, f"cannot be made: {clean(one.error)}", hint)


def _dirty(config: Config, url: URL, where: str) -> Result:
    """Cells that wait to be made anew, and whether they move while the service runs."""

    def marks() -> set[tuple[str, int, int]]:
        with reading_books(url) as connection:
            return {(row.agent_id, row.from_ms, row.marks) for row in connection.execute(select(dirty_hours))}

    before = marks()
    stuck: set[tuple[str, int, int]] = set()
    if before and is_held(config.state_dir):
        until_s = time.monotonic() + STUCK_S
        stuck = before
        while stuck and time.monotonic() < until_s:
            time.sleep(0.5)
            stuck &= marks()
        if len(stuck) < len(before):
            stuck = set()  # it moves, many only take longer
    seen = f"{len(before)} hours wait to be made anew" + (f", none moved within {STUCK_S:g} s" if stuck else "")
    hint = "Look for hour-not-made or books-away in serve's log." if stuck else ""
    return Result("hours", where, seen, hint)
