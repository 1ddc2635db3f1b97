"""What stands on the evidence log: its origins, the signed checkpoints, and hashes of whole parts of the tree."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, UniqueConstraint

from collector.store.schema.base import Serial, metadata

origins = Table(  # one log's names, one after another: a new one where history could not be continued
    "origins", metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("origin", String(128), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("position", BigInteger),  # of the leaf that names its predecessors; none for the first
    Column("record", LargeBinary),
)  # fmt: skip

checkpoints = Table(
    "checkpoints", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("origin", String(128), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("why", String(16), nullable=False),  # grown, seal, origin, bundle
    UniqueConstraint("origin", "size", name="checkpoints_place"),
    sqlite_autoincrement=True,
)  # fmt: skip

timestamps = Table(  # what an authority answered to a checkpoint's signed note (RFC 3161), as it came
    "timestamps", metadata,
    Column("checkpoint", BigInteger, ForeignKey("checkpoints.id"), primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("reply", LargeBinary, nullable=False),
)  # fmt: skip

tree_nodes = Table(  # roots of complete subtrees of 256, 65,536, ... leaves
    "tree_nodes", metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("node_hash", LargeBinary, nullable=False),
)  # fmt: skip
