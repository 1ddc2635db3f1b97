"""The audit trail, which the database itself lets nobody change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from collector.store.migrations.triggers import refuse, refuse_truncate

revision = "0009"
down_revision = "0008"

KEPT = "the audit trail is only ever added to"


def upgrade() -> None:
    """Make the trail and its triggers."""
    op.create_table(
        "audit",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )
    op.create_index("audit_time", "audit", ["at_ms"])
    # INSERT OR REPLACE of SQLite deletes without firing delete triggers, so the insert itself is refused.
    there = "EXISTS (SELECT 1 FROM audit WHERE position = NEW.position OR id = NEW.id)"
    refuse("audit_no_insert", "INSERT", "audit", there, KEPT)
    refuse("audit_no_update", "UPDATE", "audit", "OLD.position = OLD.position", KEPT)
    refuse("audit_no_delete", "DELETE", "audit", "OLD.position = OLD.position", KEPT)
    refuse_truncate("audit", KEPT)
