"""Events as agents stated them, read from the signed batches themselves; nothing keeps them a second time."""

from __future__ import annotations

from sqlalchemy import Connection, select

from collector.store.agents import find_agent
from collector.store.schema import items
from protocols.records import Batch, Event


def events_page(
    connection: Connection, agent_id: str, from_ms: int, to_ms: int, batches: int
) -> tuple[list[tuple[int, Event]], int | None]:
    """(item, event) of at most so many batches that begin in [from, to), and where to go on (None: that was all)."""
    agent = find_agent(connection, agent_id)
    if agent is None:
        return [], None
    rows = connection.execute(
        select(items.c.id, items.c.from_ms, items.c.bytes)
        .where(items.c.agent_id == agent_id, items.c.kind == "batch", items.c.state == "placed")
        .where(items.c.from_ms >= from_ms, items.c.from_ms < to_ms)
        .order_by(items.c.from_ms, items.c.id)
        .limit(batches + 1)
    ).all()
    found: list[tuple[int, Event]] = []
    for row in rows[:batches]:
        batch = agent.read(row.bytes)
        if isinstance(batch, Batch):
            found.extend((int(row.id), event) for event in batch.events)
    return found, int(rows[batches].from_ms) if len(rows) > batches else None
