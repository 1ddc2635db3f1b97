"""An evidence bundle from the books: one snapshot, streamed to a file that appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, func, select

from calibration.certificates import encode_certificate
from collector.books import Books
from collector.clock import now_ms
from collector.evidence.bundle import BundleContents, ItemDay, write_bundle
from collector.evidence.layout import Leaf
from collector.hours.cells import HOUR_MS
from collector.inventory.model import Inventory
from collector.inventory.profile import load_profile, profile_text
from collector.store.agents import all_agents
from collector.store.certificates import all_certificates
from collector.store.hours import read_hours
from collector.store.inventories import all_versions, compose_inventory
from collector.store.refresh import refresh_hours
from collector.store.schema import items, leaves, plans, tombstones, windows
from protocols.errors import EmitraceError

DAY_MS = 24 * HOUR_MS
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an item goes in a bundle."""

    stream_id: bytes
    sequence: int
    day: str
    item: int


def export_bundle(books: Books, from_ms: int, to_ms: int, path: Path, gwp_set: str | None = None) -> tuple[int, int]:
    """Write the bundle of a period, widened to whole hours.

    Returns
    -------
    tuple of (from_ms, to_ms)
        The period as it is in the bundle. [UTC ms]
    """
    start, end = from_ms - from_ms % HOUR_MS, -(-to_ms // HOUR_MS) * HOUR_MS
    if end <= start:
        raise EmitraceError("bundle", f"period {from_ms} to {to_ms} is empty", "Give an end after the start.")
    refresh_hours(books.database, books.plans, books.hour_rule)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with books.database.reading() as connection, draft.open("w+b") as file:
            write_bundle(file, _contents(connection, books, start, end, gwp_set), books.key)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise EmitraceError(f"bundle {path}", str(error), "Name a file in a folder that can be written.") from error
    finally:
        draft.unlink(missing_ok=True)
    return start, end


def _contents(connection: Connection, books: Books, from_ms: int, to_ms: int, gwp_set: str | None) -> BundleContents:
    name = books.config.settings.inventory.profile
    profile, _ = load_profile(name)
    inventory = _inventory(connection, books, from_ms, to_ms, gwp_set or profile.gwp.default)
    agents = all_agents(connection)
    places = {agent.agent_id: _places(connection, agent.agent_id, from_ms, to_ms) for agent in agents}
    sent = connection.execute(
        select(plans.c.agent_id, plans.c.document, items.c.bytes)
        .join(items, items.c.id == plans.c.item)
        .order_by(plans.c.item)
    ).all()
    here = {agent_id for agent_id, own in places.items() if own} | {row.agent_id for row in sent}
    return BundleContents(
        from_ms=from_ms, to_ms=to_ms, made_ms=now_ms(), software=f"emitrace {version('emitrace')}",
        agents=[agent.public_key for agent in agents if agent.agent_id in here],
        certificates=[encode_certificate(stored.certificate) for stored in all_certificates(connection)],
        days=_days(connection, places), leaves=_leaves(connection),
        plans=[(row.agent_id, row.document) for row in sent],
        hours=(hour.row for hour in read_hours(connection, from_ms, to_ms)),
        inventory=inventory, profile=profile_text(name).encode(),
        sent=[(row.agent_id, row.bytes) for row in sent],
    )  # fmt: skip


def _inventory(connection: Connection, books: Books, from_ms: int, to_ms: int, gwp_set: str) -> Inventory:
    """The sealed version of exactly this period where today's books still say the same, else a fresh one."""
    profile = books.config.settings.inventory.profile
    fresh = compose_inventory(connection, books.plans, books.origin, from_ms, to_ms, gwp_set, profile)
    for stored in all_versions(connection):
        sealed = stored.inventory
        if stored.sealed_ms is None or replace(sealed, pinned=fresh.pinned) != fresh:
            continue
        if replace(sealed.pinned, tree_size=fresh.pinned.tree_size) == fresh.pinned:
            return sealed
    return fresh


def _places(connection: Connection, agent_id: str, from_ms: int, to_ms: int) -> list[_Place]:
    """The agent's items that the period needs, by day, stream and sequence.

    Of a stream wholly outside the period come those that prove it; see ``BundleContents.days``.
    """
    first_window = dict(
        connection.execute(
            select(windows.c.item, func.min(windows.c.from_ms))
            .where(windows.c.agent_id == agent_id)
            .group_by(windows.c.item)
        ).all()
    )
    query = (
        select(items.c.id, items.c.stream_id, items.c.sequence, items.c.kind, items.c.from_ms, items.c.to_ms)
        .where(items.c.agent_id == agent_id, items.c.state.in_(("placed", "refused")))
        .order_by(items.c.stream_id, items.c.sequence)
    )
    stones = select(tombstones.c.item, tombstones.c.first).where(tombstones.c.agent_id == agent_id)
    first_dropped = dict(connection.execute(stones).all())
    found: list[_Place] = []
    for _, group in groupby(connection.execute(query).all(), key=lambda row: row.stream_id):
        rows = list(group)
        batches = [n for n, row in enumerate(rows) if row.kind == "batch"]
        begin = max((n for n in batches if rows[n].from_ms <= from_ms), default=0)
        inside = [n for n in batches if rows[n].from_ms < to_ms or first_window.get(rows[n].id, to_ms) < to_ms]
        end = next((n for n in batches if n > max(inside, default=begin)), len(rows) - 1)
        near = rows[next(n for n in batches if n >= begin)].from_ms if batches else from_ms
        last = rows[end].sequence
        late_stones = [row for row in rows[end + 1 :] if first_dropped.get(row.id, last + 1) <= last]
        for row in [*rows[begin : end + 1], *late_stones]:
            near = row.from_ms if row.kind == "batch" else near
            found.append(_Place(row.stream_id, row.sequence, _day(near), row.id))
    return sorted(found, key=lambda place: (place.day, place.stream_id, place.sequence))


def _days(connection: Connection, places: dict[str, list[_Place]]) -> Iterator[ItemDay]:
    for agent_id in sorted(places):
        for day, group in groupby(places[agent_id], key=lambda place: place.day):
            yield ItemDay(agent_id, day, _bytes(connection, [place.item for place in group]))


def _bytes(connection: Connection, wanted: list[int]) -> Iterator[bytes]:
    for item in wanted:
        yield connection.execute(select(items.c.bytes).where(items.c.id == item)).scalar_one()


def _leaves(connection: Connection) -> Iterator[Leaf]:
    position = 0
    while True:
        rows = connection.execute(
            select(leaves).where(leaves.c.position >= position).order_by(leaves.c.position).limit(_CHUNK)
        ).all()
        if not rows:
            return
        for row in rows:
            yield Leaf(row.kind, row.object_id, row.object_digest)
        position += len(rows)


def _day(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date().isoformat()
