"""Books of a year of one live agent, made in a minute: what pages cost once a collector has run for so long.

``python -m tests.bench.year FOLDER`` makes them and times what the overview asks of the store. The plan takes its
place by the real ingest, hours and days are written by the real store; the 525,600 items are rows of the right
number and shape around filler bytes, so nothing can be recomputed or exported from these books.
"""

from __future__ import annotations

import hashlib
import math
import struct
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, insert, update

from collector.books import Books, open_books
from collector.config import Config, Settings
from collector.hours.cells import HOUR_MS, cells_between, local_time
from collector.hours.model import HourRow
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from collector.store.days import renew_days
from collector.store.hours import replace_hours
from collector.store.log import append_leaves
from collector.store.plans import note_plans_used
from collector.store.schema import comparisons, items, slots, streams, uncompared, windows
from collector.web import overview
from protocols.plan.bound import BoundPlan, BoundSource, CounterSeries, RateSeries
from protocols.plan.document import make_document, open_document
from protocols.records import Fate, ItemKind, PlanItem
from protocols.wire import topics
from protocols.wire.codec import seal_item
from protocols.wire.keys import fingerprint, public_bytes

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STREAM = bytes(16)
MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS
CHUNK = 20_000
FILLER = bytes(200)


def make_year(folder: Path, now_ms: int, days: int = 365) -> Config:
    """Make the books of an agent that has sent a batch every minute for so many days until now.

    Parameters
    ----------
    folder : Path
        Empty or new; ``collector.toml`` need not be there.
    now_ms : int
        The running hour is the last one in the books. [UTC ms]
    """
    config = Config(folder / "collector.toml", Settings())
    end_ms = now_ms - now_ms % HOUR_MS
    start_ms = end_ms - days * DAY_MS
    agent_id = fingerprint(public_bytes(KEY))
    with open_books(config) as books:
        plan = _register(books, start_ms)
        zone = ZoneInfo(plan.plan.facility.time_zone)
        for first in range(start_ms, end_ms, CHUNK * MINUTE_MS):
            with books.database.writing() as connection:
                _add_batches(connection, agent_id, plan, first, min(first + CHUNK * MINUTE_MS, end_ms), start_ms)
        cells = cells_between(start_ms, end_ms, zone)
        for position in range(0, len(cells), 500):
            made = {cell[0]: list(_hours(agent_id, plan, cell)) for cell in cells[position : position + 500]}
            with books.database.writing() as connection:
                replace_hours(connection, agent_id, made)
                renew_days(connection, agent_id, zone, made)
                note_plans_used(connection, agent_id, dict.fromkeys(made, (plan.digest,)))
        with books.database.writing() as connection:
            _add_slots(connection, agent_id, plan, zone, start_ms, end_ms)
            _add_windows(connection, agent_id, plan, end_ms)
    return config


def _register(books: Books, start_ms: int) -> BoundPlan:
    """The agent and its plan, by the real ways."""
    with resources.as_file(resources.files("simulators") / "scenarios" / "demo-plan.toml") as path:
        document = make_document(path)
    with books.database.writing() as connection:
        add_agent(connection, public_bytes(KEY), "boiler house", start_ms)
    data = seal_item(PlanItem(STREAM, 0, bytes(32), document), KEY)
    commit_group(books, [(topics.up(fingerprint(public_bytes(KEY)), ItemKind.PLAN), data)], start_ms)
    return open_document(document)


def _add_batches(
    connection: Connection, agent_id: str, plan: BoundPlan, from_ms: int, to_ms: int, start_ms: int
) -> None:
    """Placed and compared batches of a minute each, with their leaves and the state of their stream."""
    rows: list[dict[str, object]] = []
    for at_ms in range(from_ms, to_ms, MINUTE_MS):
        sequence = 1 + (at_ms - start_ms) // MINUTE_MS
        digest = hashlib.sha256(struct.pack("<q", at_ms)).digest()
        rows.append({
            "agent_id": agent_id, "stream_id": STREAM, "sequence": sequence, "kind": "batch", "digest": digest,
            "previous": digest, "state": "placed", "plan": plan.digest, "from_ms": at_ms, "to_ms": at_ms + MINUTE_MS,
            "received_ms": at_ms + MINUTE_MS, "id": sequence + 1, "bytes": FILLER,
        })  # fmt: skip
    places = append_leaves(
        connection, [("item", f"{agent_id}/{STREAM.hex()}/{row['sequence']}", row["digest"]) for row in rows],  # type: ignore[misc]
        to_ms,
    )  # fmt: skip
    connection.execute(insert(items), [row | {"leaf": leaf} for row, leaf in zip(rows, places, strict=True)])
    connection.execute(
        insert(comparisons),
        [{"item": row["id"], "agent_id": agent_id, "equal": True, "differences": "", "compared_ms": to_ms}
         for row in rows],
    )  # fmt: skip
    connection.execute(delete(uncompared))
    connection.execute(
        update(streams).values(
            contiguous=rows[-1]["sequence"], head=rows[-1]["digest"], placed=streams.c.placed + len(rows),
            batches=streams.c.batches + len(rows), last_to_ms=to_ms,
        )
    )  # fmt: skip


def _hours(agent_id: str, plan: BoundPlan, cell: tuple[int, int]) -> Iterator[HourRow]:
    """Rows of a cell with a day and a year in their shape; one night in ten days is missing."""
    day = cell[0] / DAY_MS
    if int(day) % 10 == 0 and day % 1 < 0.2:
        return
    long_ms = cell[1] - cell[0]
    shape = 1.2 + math.sin(2 * math.pi * day) / 2 + math.cos(2 * math.pi * day / 365) / 3
    for number, source in enumerate(plan.sources):
        causes = sorted({cause.name for one in _series(source) for cause in one.causes})
        for place, gas in enumerate(source.gases):
            mass = round(shape * 50_000_000 / (1 + number) / 100**place)
            status = "overdue" if number == 1 and int(day) % 7 == 0 else "in-interval"
            scaled = int(cell[0] // HOUR_MS) % 11 == 0 and bool(source.rates)
            measured = long_ms - 300_000 if scaled else long_ms
            yield HourRow(
                agent_id, source.id, gas, *cell, mass, mass // 12 if scaled else 0, mass // 1000, long_ms, measured, 0,
                "scaled" if scaled else "measured", ((status, mass),), ((status, measured),), mass * 0.001,
                tuple((cause, mass * 0.01) for cause in causes), mass * 0.0005, mass * 0.0005, 60,
            )  # fmt: skip


def _add_slots(
    connection: Connection, agent_id: str, plan: BoundPlan, zone: ZoneInfo, start_ms: int, end_ms: int
) -> None:
    days = sorted({local_time(at_ms, zone).date().isoformat() for at_ms in range(start_ms, end_ms, HOUR_MS)})
    connection.execute(
        insert(slots),
        [{"agent_id": agent_id, "point": point.id, "day": day, "fate": fate.value, "count": 86_000 if not fate.value
          else 400} for day in days for point in plan.points for fate in (Fate.GOOD, Fate.TIMEOUT)],
    )  # fmt: skip


def _add_windows(connection: Connection, agent_id: str, plan: BoundPlan, end_ms: int) -> None:
    """Windows of the last day, a minute each."""
    always = {
        "item": 2, "agent_id": agent_id, "plan": plan.digest, "activity": 1000, "mass_mg": 100_000,
        "operating_ms": MINUTE_MS, "measured_ms": MINUTE_MS, "stopped_ms": 0, "flags": 0, "u_independent": 10.0,
        "u_end": 1.0,
    }  # fmt: skip
    for number, source in enumerate(plan.sources):
        for one in _series(source):
            own = always | {
                "source": number, "input": one.input if isinstance(one, CounterSeries) else 0, "gas": one.gas,
                "u_shared": struct.pack(f"<{len(one.causes)}f", *(5.0 for _ in one.causes)),
            }  # fmt: skip
            connection.execute(
                insert(windows),
                [own | {"from_ms": from_ms, "to_ms": from_ms + MINUTE_MS}
                 for from_ms in range(end_ms - DAY_MS, end_ms, MINUTE_MS)],
            )  # fmt: skip


def _series(source: BoundSource) -> tuple[CounterSeries | RateSeries, ...]:
    return (*source.counters, *source.rates)


def main(folder: Path) -> None:
    """Make the books where they are not there, and time the overview."""
    now_ms = int(time.time() * 1000)
    if not any(folder.glob("**/books.sqlite")):
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        make_year(folder, now_ms)
        print(f"a year's books made in {time.perf_counter() - began:.1f} s")
    with open_books(Config(folder / "collector.toml", Settings())) as books:
        for _ in range(3):
            began = time.perf_counter()
            overview.gather(books, now_ms)
            print(f"overview gathered in {1000 * (time.perf_counter() - began):.0f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
