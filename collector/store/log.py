"""The evidence log: one RFC 6962 tree per collector, grown inside the transaction that stores the object."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from collector.store.schema import frontier, leaves
from collector.store.tree import WIDTH, keep_nodes
from protocols.transparency.tree import Frontier, leaf_data, leaf_hash


def item_leaf_id(agent_id: str, stream_id: bytes, sequence: int) -> str:
    """The id of a stream item in the log."""
    return f"{agent_id}/{stream_id.hex()}/{sequence}"


def tree_size(connection: Connection) -> int:
    """How many leaves the log has."""
    last = connection.scalar(select(func.max(leaves.c.position)))
    return 0 if last is None else int(last) + 1


def append_leaf(connection: Connection, kind: str, object_id: str, object_digest: bytes, at_ms: int) -> int:
    """Append one leaf and return its position; call only inside a write transaction."""
    return append_leaves(connection, [(kind, object_id, object_digest)], at_ms)[0]


def append_leaves(connection: Connection, objects: Sequence[tuple[str, str, bytes]], at_ms: int) -> list[int]:
    """Append leaves in order; the frontier holds the roots of the complete subtrees, largest first."""
    if not objects:
        return []
    tree = read_frontier(connection)
    rows: list[dict[str, object]] = []
    for kind, object_id, digest in objects:
        node = leaf_hash(leaf_data(kind, object_id, digest))
        rows.append({
            "position": tree.size, "kind": kind, "object_id": object_id, "object_digest": digest, "leaf_hash": node,
            "at_ms": at_ms,
        })  # fmt: skip
        tree = tree.append(node)
    connection.execute(insert(leaves), rows)
    connection.execute(delete(frontier))
    connection.execute(insert(frontier), [{"place": n, "node_hash": root} for n, root in enumerate(tree.roots)])
    if tree.size // WIDTH != (tree.size - len(rows)) // WIDTH:
        keep_nodes(connection, tree.size)
    return list(range(tree.size - len(rows), tree.size))


def read_frontier(connection: Connection) -> Frontier:
    """The log's tree: its size and the roots of its complete subtrees."""
    roots = connection.scalars(select(frontier.c.node_hash).order_by(frontier.c.place)).all()
    return Frontier(tree_size(connection), tuple(roots))
