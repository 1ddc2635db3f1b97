"""Verification engagements, findings and answers, which the database itself lets nobody change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from collector.store.migrations.triggers import refuse, refuse_truncate

revision = "0013"
down_revision = "0012"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
PLACES = {
    "engagements": "id = NEW.id OR (engagement = NEW.engagement AND revision = NEW.revision)",
    "findings": "id = NEW.id OR (finding = NEW.finding AND revision = NEW.revision)",
    "answers": "id = NEW.id",
}
"""Table -> what makes a row one that is there already."""


def upgrade() -> None:
    """Make the tables and their triggers."""
    op.create_table(
        "engagements",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("engagement", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("body", sa.String(200), nullable=False),
        sa.Column("criteria", sa.Text(), nullable=False),
        sa.Column("sites", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("accounts", sa.Text(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("engagement", "revision", name="engagements_revision"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "findings",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("finding", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("engagement", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("finding", "revision", name="findings_revision"),
        sqlite_autoincrement=True,
    )
    op.create_index("findings_engagement", "findings", ["engagement"])
    op.create_table(
        "answers",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("finding", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("answers_finding", "answers", ["finding"])
    for table, place in PLACES.items():
        kept = f"{table} are only ever added to"
        # INSERT OR REPLACE of SQLite deletes without firing delete triggers, so the insert itself is refused.
        there = f"EXISTS (SELECT 1 FROM {table} WHERE {place})"
        refuse(f"{table}_no_insert", "INSERT", table, there, kept)
        refuse(f"{table}_no_update", "UPDATE", table, "OLD.id = OLD.id", kept)
        refuse(f"{table}_no_delete", "DELETE", table, "OLD.id = OLD.id", kept)
        refuse_truncate(table, kept)
