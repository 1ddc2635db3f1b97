"""Decisions about objects in quarantine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make quarantine_decisions."""
    op.create_table(
        "quarantine_decisions",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("entry", sa.BigInteger(), sa.ForeignKey("quarantine.id"), nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("quarantine_decisions_entry", "quarantine_decisions", ["entry"])
