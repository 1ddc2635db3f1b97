"""What could not be believed: kept with its bytes and reason, shown, and never in the way of the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from collector.store.schema import quarantine
from collector.store.upsert import upsert

KEPT_BYTES = 16 * 1024 * 1024
"""A message longer than this is kept up to here; its digest is of the whole."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refused object; the same bytes arriving again only raise ``times``."""

    id: int
    agent_id: str
    topic: str
    reason: str
    detail: str
    first_ms: int
    last_ms: int
    times: int
    size: int


def keep(connection: Connection, topic: str, agent_id: str, reason: str, detail: str, data: bytes, at_ms: int) -> None:
    """Keep a refused object."""
    entry = upsert(connection, quarantine).values(
        digest=hashlib.sha256(data).digest(), agent_id=agent_id, topic=_plain(topic)[:256], reason=reason,
        detail=_plain(detail)[:2000], first_ms=at_ms, last_ms=at_ms, times=1, size=len(data), bytes=data[:KEPT_BYTES],
    )  # fmt: skip
    connection.execute(
        entry.on_conflict_do_update(
            index_elements=["digest", "agent_id", "reason"],
            set_={"last_ms": at_ms, "times": quarantine.c.times + 1},
        )
    )


def _plain(text: str) -> str:
    """No database but SQLite keeps a NUL or half a surrogate pair in a text."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def latest(connection: Connection, limit: int = 100) -> Sequence[Quarantined]:
    """The refused objects, last seen first."""
    columns = [column for column in quarantine.c if column.name not in ("bytes", "digest")]
    rows = connection.execute(select(*columns).order_by(quarantine.c.last_ms.desc(), quarantine.c.id).limit(limit))
    return [Quarantined(**row) for row in rows.mappings()]


def count_by_reason(connection: Connection) -> dict[str, int]:
    """How many refused objects there are for each reason."""
    rows = connection.execute(select(quarantine.c.reason, func.count()).group_by(quarantine.c.reason))
    return {reason: int(count) for reason, count in rows}


def read_bytes(connection: Connection, entry: int) -> bytes | None:
    """The kept bytes of one refused object."""
    return connection.scalar(select(quarantine.c.bytes).where(quarantine.c.id == entry))
