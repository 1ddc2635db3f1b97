"""Checkpoints of the evidence log: its size and root, signed with the log's own key under its origin."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select

from collector.store.healings import refuse_while_healing
from collector.store.log import read_frontier
from collector.store.schema import checkpoints, origins
from collector.store.tree import keep_nodes
from protocols.errors import EmitraceError
from protocols.transparency.checkpoint import Checkpoint, sign_checkpoint
from protocols.transparency.note import NoteKey
from protocols.wire.keys import public_bytes

NAME = "emitrace"
GROWN, SEAL, ORIGIN, BUNDLE = "grown", "seal", "origin", "bundle"
"""Why a checkpoint was made."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A name under which the log signs; ``record`` is what its leaf at ``position`` is of, if it has predecessors."""

    number: int
    name: str
    public_key: bytes
    made_ms: int
    position: int | None
    record: bytes | None

    @property
    def key(self) -> NoteKey:
        """The key that verifies its checkpoints."""
        return NoteKey(self.name, self.public_key)


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as it was signed, when [UTC ms] and why."""

    id: int
    head: Checkpoint
    note: bytes
    at_ms: int
    why: str


def new_origin_name() -> str:
    """A name that no other log bears."""
    return f"{NAME}/{token_hex(16)}"


def ensure_origin(connection: Connection, key: Ed25519PrivateKey, at_ms: int) -> Origin:
    """The origin in force, the first one made where there is none; EmitraceError where the key is another one."""
    found = connection.execute(select(origins).order_by(origins.c.number.desc()).limit(1)).first()
    if found is None:
        name, public = new_origin_name(), public_bytes(key)
        connection.execute(insert(origins).values(number=0, origin=name, public_key=public, made_ms=at_ms))
        return current_origin(connection)
    return check_key(_origin(found), key)


def check_key(origin: Origin, key: Ed25519PrivateKey) -> Origin:
    """The origin, where this is the key it signs with; EmitraceError otherwise."""
    if origin.public_key != public_bytes(key):
        raise EmitraceError(
            "log.key", f"is not the key of log {origin.key.encoded()}", "Put the file back that belongs to these books."
        )
    return origin


def current_origin(connection: Connection) -> Origin:
    """The origin under which the log signs now."""
    return all_origins(connection)[-1]


def all_origins(connection: Connection) -> list[Origin]:
    """Every origin, the first one first."""
    return [_origin(row) for row in connection.execute(select(origins).order_by(origins.c.number))]


def make_checkpoint(connection: Connection, key: Ed25519PrivateKey, at_ms: int, why: str) -> Stored:
    """Sign the log as it stands; where it was signed at this size already, that checkpoint.

    HealingError where these books are behind what was signed before: it would contradict that.
    """
    refuse_while_healing(connection, "checkpoint")
    origin, tree = current_origin(connection), read_frontier(connection)
    newest = newest_checkpoint(connection)
    if newest is not None and (newest.head.origin, newest.head.size) == (origin.name, tree.size):
        return newest
    keep_nodes(connection, tree.size)
    head = Checkpoint(origin.name, tree.size, tree.root)
    note = sign_checkpoint(head, key)
    connection.execute(
        insert(checkpoints).values(
            origin=head.origin, size=head.size, root=head.root, note=note, at_ms=at_ms, why=why
        )
    )
    found = newest_checkpoint(connection)
    if found is None:
        raise LookupError("a checkpoint that was just kept is not there")
    return found


def newest_checkpoint(connection: Connection) -> Stored | None:
    """The newest checkpoint, None where none was made yet."""
    return next(iter(list_checkpoints(connection, 1)), None)


def list_checkpoints(connection: Connection, most: int, before: int | None = None) -> list[Stored]:
    """Checkpoints, newest first; those with an id below ``before``."""
    query = select(checkpoints).order_by(checkpoints.c.id.desc()).limit(most)
    if before is not None:
        query = query.where(checkpoints.c.id < before)
    return [_stored(row) for row in connection.execute(query)]


def checkpoint_of(connection: Connection, origin: str, size: int) -> Stored | None:
    """The checkpoint of an origin at a size."""
    row = connection.execute(
        select(checkpoints).where(checkpoints.c.origin == origin, checkpoints.c.size == size)
    ).first()
    return None if row is None else _stored(row)


def checkpoint_at(connection: Connection, size: int) -> Stored | None:
    """The newest checkpoint at a size, under whatever origin."""
    query = select(checkpoints).where(checkpoints.c.size == size).order_by(checkpoints.c.id.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _stored(row)


def _stored(row: Any) -> Stored:
    return Stored(row.id, Checkpoint(row.origin, row.size, row.root), row.note, row.at_ms, row.why)


def _origin(row: Any) -> Origin:
    return Origin(row.number, row.origin, row.public_key, row.made_ms, row.position, row.record)
