"""Books that are being healed, what was signed beyond them, and what stays lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the four tables."""
    op.create_table(
        "healings",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.Column("head_known", sa.Boolean(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger()),
        sa.Column("ended_by", sa.String(128)),
        sa.Column("reason", sa.Text()),
        sqlite_autoincrement=True,
    )
    healing = sa.ForeignKey("healings.id")
    op.create_table(
        "signed_heads",
        sa.Column("healing", sa.BigInteger(), healing, primary_key=True, autoincrement=False),
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("origin", sa.String(128), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "healing_reports",
        sa.Column("healing", sa.BigInteger(), sa.ForeignKey("healings.id"), primary_key=True, autoincrement=False),
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.agent_id"), primary_key=True),
        sa.Column("stream_id", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "losses",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("stream_id", sa.LargeBinary(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("agent_id", "stream_id", "first", "last", name="losses_range"),
        sqlite_autoincrement=True,
    )
    op.create_index("losses_stream", "losses", ["agent_id", "stream_id", "last"])
