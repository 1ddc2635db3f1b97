"""Single leaves of the evidence log: by their position, or by the object they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from collector.store.schema import leaves
from protocols.transparency.tree import leaf_data


@dataclass(frozen=True, slots=True)
class LoggedLeaf:
    """A leaf: where it stands, what it is of, and when it was appended. [UTC ms]"""

    position: int
    kind: str
    object_id: str
    digest: bytes
    hash: bytes
    at_ms: int

    @property
    def data(self) -> bytes:
        """What the tree hashes."""
        return leaf_data(self.kind, self.object_id, self.digest)


def read_leaf(connection: Connection, position: int) -> LoggedLeaf | None:
    """The leaf at a position."""
    return _leaf(connection.execute(select(leaves).where(leaves.c.position == position)).first())


def find_leaf(connection: Connection, kind: str, object_id: str) -> LoggedLeaf | None:
    """The first leaf of an object."""
    query = select(leaves).where(leaves.c.kind == kind, leaves.c.object_id == object_id)
    return _leaf(connection.execute(query.order_by(leaves.c.position).limit(1)).first())


def newest_leaves(connection: Connection, most: int) -> list[LoggedLeaf]:
    """The newest leaves, newest first."""
    rows = connection.execute(select(leaves).order_by(leaves.c.position.desc()).limit(most))
    return [leaf for row in rows if (leaf := _leaf(row)) is not None]


def _leaf(row: Any) -> LoggedLeaf | None:
    if row is None:
        return None
    return LoggedLeaf(row.position, row.kind, row.object_id, row.object_digest, row.leaf_hash, row.at_ms)
