"""Records of calibration and the files that prove them, which the database itself lets nobody change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from collector.store.migrations.triggers import refuse, refuse_truncate

revision = "0016"
down_revision = "0015"

PLACES = {
    "calibration_records": "leaf = NEW.leaf OR (kind = 'calibration-event' AND NEW.kind = kind AND id = NEW.id)",
    "evidence_files": "leaf = NEW.leaf OR sha256 = NEW.sha256",
}
"""Table -> what makes a row one that is there already; an event is never entered anew."""


def upgrade() -> None:
    """Make the tables and their triggers."""
    op.create_table(
        "calibration_records",
        sa.Column("leaf", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("about", sa.String(128), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("known_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
    )
    op.create_index("calibration_records_id", "calibration_records", ["kind", "id"])
    op.create_index("calibration_records_about", "calibration_records", ["kind", "about"])
    op.create_table(
        "evidence_files",
        sa.Column("leaf", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("known_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
    )
    for table, place in PLACES.items():
        kept = f"{table} are only ever added to"
        # INSERT OR REPLACE of SQLite deletes without firing delete triggers, so the insert itself is refused.
        refuse(f"{table}_no_insert", "INSERT", table, f"EXISTS (SELECT 1 FROM {table} WHERE {place})", kept)
        refuse(f"{table}_no_update", "UPDATE", table, "OLD.leaf = OLD.leaf", kept)
        refuse(f"{table}_no_delete", "DELETE", table, "OLD.leaf = OLD.leaf", kept)
        refuse_truncate(table, kept)
