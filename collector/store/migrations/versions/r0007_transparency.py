"""Origins and checkpoints of the evidence log, and the hashes of whole parts of its tree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make origins, checkpoints and tree_nodes; nodes of books of before are added at their next checkpoint."""
    op.create_table(
        "origins",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("origin", sa.String(128), nullable=False, unique=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger()),
        sa.Column("record", sa.LargeBinary()),
    )
    op.create_table(
        "checkpoints",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("origin", sa.String(128), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(16), nullable=False),
        sa.UniqueConstraint("origin", "size", name="checkpoints_place"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tree_nodes",
        sa.Column("level", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("place", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("node_hash", sa.LargeBinary(), nullable=False),
    )
