"""Tokens of programs; a program of version 4 may have made this table already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make tokens."""
    op.create_table(
        "tokens",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("user", sa.String(64), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger()),
        sa.Column("used_from", sa.String(64)),
        sa.Column("revoked_ms", sa.BigInteger()),
        if_not_exists=True,
    )
    op.create_index("ix_tokens_user", "tokens", ["user"], if_not_exists=True)
