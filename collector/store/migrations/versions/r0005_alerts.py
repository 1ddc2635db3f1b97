"""What somebody must look after, and who was told; a program of version 4 may have made these tables already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make alerts and tellings."""
    op.create_table(
        "alerts",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("raised_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger()),
        sa.Column("acknowledged_ms", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.String(64)),
        sa.Column("note", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("alerts_open", "alerts", ["ended_ms", "kind", "subject"], if_not_exists=True)
    op.create_table(
        "tellings",
        sa.Column("alert", sa.BigInteger(), sa.ForeignKey("alerts.id"), primary_key=True, autoincrement=False),
        sa.Column("way", sa.String(16), primary_key=True),
        sa.Column("word", sa.String(16), primary_key=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        if_not_exists=True,
    )
