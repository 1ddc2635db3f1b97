"""Enrolment by one-time tokens, and the end of an agent's service, which the database itself lets nobody take back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from collector.store.migrations.triggers import refuse, refuse_truncate

revision = "0010"
down_revision = "0009"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
KEPT = "the end of a service is never taken back"


def upgrade() -> None:
    """Make enrolment_tokens, enrolments and agent_endings."""
    op.create_table(
        "enrolment_tokens",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("facility", sa.String(64), nullable=False),
        sa.Column("replaces", sa.String(64), sa.ForeignKey("agents.agent_id")),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_ms", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "enrolments",
        sa.Column(
            "token", sa.BigInteger(), sa.ForeignKey("enrolment_tokens.id"), primary_key=True, autoincrement=False
        ),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("software", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(16)),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_ms", sa.BigInteger()),
    )
    op.create_index("enrolments_agent", "enrolments", ["agent_id"])
    op.create_table(
        "agent_endings",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.agent_id"), nullable=False),
        sa.Column("ending", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )
    op.create_index("agent_endings_agent", "agent_endings", ["agent_id"])
    there = "EXISTS (SELECT 1 FROM agent_endings WHERE position = NEW.position)"
    refuse("agent_endings_no_insert", "INSERT", "agent_endings", there, KEPT)
    refuse("agent_endings_no_update", "UPDATE", "agent_endings", "OLD.position = OLD.position", KEPT)
    refuse("agent_endings_no_delete", "DELETE", "agent_endings", "OLD.position = OLD.position", KEPT)
    refuse_truncate("agent_endings", KEPT)
