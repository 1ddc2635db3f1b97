"""Time stamps of checkpoints, as an authority answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make timestamps."""
    op.create_table(
        "timestamps",
        sa.Column(
            "checkpoint", sa.BigInteger(), sa.ForeignKey("checkpoints.id"), primary_key=True, autoincrement=False
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
    )
