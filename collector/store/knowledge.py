"""Knowledge time: how far the evidence log had come, under which name, when something was known."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from collector.store.checkpoints import current_origin
from collector.store.log import tree_size
from collector.store.schema import leaves


@dataclass(frozen=True, slots=True)
class KnownAt:
    """The log's origin, the name under which it signs (C2SP), and its number of leaves.

    A new origin goes on from its predecessor's size, so these are in order. The collector's own key is another thing:
    its fingerprint says who signs acknowledgements and bundles (``Books.collector_id``).
    """

    origin: str
    tree_size: int


def known_now(connection: Connection) -> KnownAt:
    """What this snapshot of the books knows."""
    return KnownAt(current_origin(connection).name, tree_size(connection))


def size_at(connection: Connection, at_ms: int) -> int:
    """Size of the log at a wall time: after the last leaf labelled at or before it. [UTC ms]"""
    last = connection.scalar(select(func.max(leaves.c.position)).where(leaves.c.at_ms <= at_ms))
    return 0 if last is None else int(last) + 1
