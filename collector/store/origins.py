"""The origins of this log, one after another: what each went on from, and whether the log bears out a signed head."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, insert

from collector.store.checkpoints import all_origins, current_origin, new_origin_name
from collector.store.log import append_leaf, tree_size
from collector.store.schema import origins
from collector.store.tree import root_at
from protocols.transparency.checkpoint import Checkpoint
from protocols.transparency.succession import (
    KIND,
    PREDECESSORS,
    Predecessor,
    Succession,
    decode_succession,
    encode_succession,
)


def leads_to(connection: Connection, head: Checkpoint) -> bool:
    """Whether the log bears out a head that it signed.

    It does where it begins with exactly those leaves, or where it took a new origin since and admits that it does not:
    the record then names this head or a longer one as the last known.
    """
    current = current_origin(connection)
    if head.origin == current.name:
        return head.size <= tree_size(connection) and root_at(connection, head.size) == head.root
    before = None if current.record is None else decode_succession(current.record).before(head.origin)
    if before is None:
        return False
    if head.size <= before.kept:
        return root_at(connection, head.size) == head.root
    return head.size < before.head.size or head == before.head


def begin_origin(connection: Connection, kept: int, heads: Sequence[Checkpoint], at_ms: int) -> None:
    """Let the log go on under a new origin, whose leaf says from what.

    Parameters
    ----------
    kept : int
        How many leaves of what was signed the log still begins with.
    heads : sequence of Checkpoint
        What was signed and the log does not lead to.
    """
    known = all_origins(connection)
    succession = Succession(new_origin_name(), _predecessors(connection, kept, heads)[-PREDECESSORS:])
    record = encode_succession(succession)
    position = append_leaf(connection, KIND, succession.origin, hashlib.sha256(record).digest(), at_ms)
    connection.execute(
        insert(origins).values(
            number=known[-1].number + 1, origin=succession.origin, public_key=known[-1].public_key, made_ms=at_ms,
            position=position, record=record,
        )
    )  # fmt: skip


def _predecessors(connection: Connection, kept: int, heads: Sequence[Checkpoint]) -> tuple[Predecessor, ...]:
    """Every origin before a new one, with the longest head known of each.

    Nothing is promised (``kept`` 0) of an origin of which a head speaks against even the leaves that are here, nor of
    one that these books do not know.
    """
    current = current_origin(connection)
    found = {} if current.record is None else {
        one.head.origin: one for one in decode_succession(current.record).predecessors
    }  # fmt: skip
    found[current.name] = Predecessor(Checkpoint(current.name, kept, root_at(connection, kept)), kept)
    for head in sorted(heads, key=lambda one: one.size):
        before = found.pop(head.origin, Predecessor(head, 0))
        longest = max(before.head, head, key=lambda one: one.size)
        found[head.origin] = Predecessor(longest, before.kept if head.size > before.kept else 0)
    mine = found.pop(current.name)
    return (*found.values(), mine)
