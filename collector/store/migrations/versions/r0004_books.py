"""The books as they were when migrations began: what programs of schema version 4 made by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from collector.store.migrations.triggers import refuse, refuse_truncate, tally

revision = "0004"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
SEALED = "a sealed inventory version is immutable"
PARENT = "(SELECT sealed_ms FROM inventories WHERE id = {row}.inventory) IS NOT NULL"


def upgrade() -> None:
    """Make every table, index and trigger."""
    _tables()
    # INSERT OR REPLACE of SQLite deletes without firing delete triggers, so the insert itself is refused.
    there = "EXISTS (SELECT 1 FROM inventories WHERE id = NEW.id AND sealed_ms IS NOT NULL)"
    refuse("inventories_no_insert", "INSERT", "inventories", there, SEALED)
    refuse("inventories_no_update", "UPDATE", "inventories", "OLD.sealed_ms IS NOT NULL", SEALED)
    refuse("inventories_no_delete", "DELETE", "inventories", "OLD.sealed_ms IS NOT NULL", SEALED)
    old, new = PARENT.format(row="OLD"), PARENT.format(row="NEW")
    refuse("inventory_rows_no_insert", "INSERT", "inventory_rows", new, SEALED)
    refuse("inventory_rows_no_update", "UPDATE", "inventory_rows", f"{old} OR {new}", SEALED)
    refuse("inventory_rows_no_delete", "DELETE", "inventory_rows", old, SEALED)
    refuse_truncate("inventories", SEALED)
    refuse_truncate("inventory_rows", SEALED)
    items = [("items", "kind", "1"), ("bytes", "kind", "length({row}.bytes)")]
    tally("tally_item", "INSERT", "items", items)
    tally("tally_item_given_back", "DELETE", "items", items)
    tally("tally_refused", "INSERT", "quarantine", [("quarantine", "reason", "1")])
    readings = [("readings", None, "{row}.count")]
    tally("tally_slots", "INSERT", "slots", readings, when="{row}.fate < 2")
    tally("tally_more_slots", "UPDATE", "slots", readings, when="{row}.fate < 2")


def _tables() -> None:
    op.create_table(
        "about",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "agents",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger()),
        sa.Column("status", sa.Text()),
        sa.Column("replaces", sa.String(64), sa.ForeignKey("agents.agent_id")),
    )
    op.create_table(
        "certificates",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("instrument", sa.String(64), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.BigInteger(), nullable=False),
        sa.Column("known_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "days",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("from_ms", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("gas", sa.String(32), primary_key=True),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("mass_mg", sa.String(40), nullable=False),
        sa.Column("added_mg", sa.String(40), nullable=False),
        sa.Column("activity", sa.String(40), nullable=False),
        sa.Column("operating_ms", sa.BigInteger(), nullable=False),
        sa.Column("measured_ms", sa.BigInteger(), nullable=False),
        sa.Column("stopped_ms", sa.BigInteger(), nullable=False),
        sa.Column("methods", sa.Text(), nullable=False),
        sa.Column("status_mg", sa.Text(), nullable=False),
        sa.Column("status_ms", sa.Text(), nullable=False),
        sa.Column("u_independent", sa.Float(53), nullable=False),
        sa.Column("u_shared", sa.Text(), nullable=False),
        sa.Column("u_end_first", sa.Float(53), nullable=False),
        sa.Column("u_end_last", sa.Float(53), nullable=False),
        sa.Column("u_hole_first", sa.Float(53), nullable=False),
        sa.Column("u_hole_last", sa.Float(53), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dirty_hours",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("from_ms", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("marks", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text()),
    )
    op.create_table(
        "frontier",
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("node_hash", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "hours",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("from_ms", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("gas", sa.String(32), primary_key=True),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("mass_mg", sa.String(40), nullable=False),
        sa.Column("added_mg", sa.String(40), nullable=False),
        sa.Column("activity", sa.String(40), nullable=False),
        sa.Column("operating_ms", sa.BigInteger(), nullable=False),
        sa.Column("measured_ms", sa.BigInteger(), nullable=False),
        sa.Column("stopped_ms", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("status_mg", sa.Text(), nullable=False),
        sa.Column("status_ms", sa.Text(), nullable=False),
        sa.Column("u_independent", sa.Float(53), nullable=False),
        sa.Column("u_shared", sa.Text(), nullable=False),
        sa.Column("u_end_first", sa.Float(53), nullable=False),
        sa.Column("u_end_last", sa.Float(53), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("hours_time", "hours", ["from_ms"])
    op.create_table(
        "inventories",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("gwp_set", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("built_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_ms", sa.BigInteger()),
        sa.Column("leaf", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "items",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("stream_id", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("plan", sa.LargeBinary()),
        sa.Column("from_ms", sa.BigInteger()),
        sa.Column("to_ms", sa.BigInteger()),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("agent_id", "stream_id", "sequence", name="items_place"),
        sqlite_autoincrement=True,
    )
    op.create_index("items_span", "items", ["agent_id", "from_ms"])
    op.create_table(
        "leaves",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("object_digest", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("leaves_object", "leaves", ["kind", "object_id"])
    op.create_table(
        "months",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("from_ms", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("gas", sa.String(32), primary_key=True),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("mass_mg", sa.String(40), nullable=False),
        sa.Column("added_mg", sa.String(40), nullable=False),
        sa.Column("activity", sa.String(40), nullable=False),
        sa.Column("operating_ms", sa.BigInteger(), nullable=False),
        sa.Column("measured_ms", sa.BigInteger(), nullable=False),
        sa.Column("stopped_ms", sa.BigInteger(), nullable=False),
        sa.Column("methods", sa.Text(), nullable=False),
        sa.Column("status_mg", sa.Text(), nullable=False),
        sa.Column("status_ms", sa.Text(), nullable=False),
        sa.Column("u_independent", sa.Float(53), nullable=False),
        sa.Column("u_shared", sa.Text(), nullable=False),
        sa.Column("u_end_first", sa.Float(53), nullable=False),
        sa.Column("u_end_last", sa.Float(53), nullable=False),
        sa.Column("u_hole_first", sa.Float(53), nullable=False),
        sa.Column("u_hole_last", sa.Float(53), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plan_hours",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("plan", sa.LargeBinary(), primary_key=True),
        sa.Column("from_ms", sa.BigInteger(), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quarantine",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("digest", "agent_id", "reason", name="quarantine_object"),
        sqlite_autoincrement=True,
    )
    op.create_index("quarantine_reason", "quarantine", ["reason"])
    op.create_index("quarantine_seen", "quarantine", ["last_ms"])
    op.create_table(
        "slots",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("point", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("fate", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
    )
    op.create_index("slots_day", "slots", ["day"])
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("label", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("signed_in_ms", sa.BigInteger()),
    )
    op.create_table(
        "comparisons",
        sa.Column("item", sa.BigInteger(), sa.ForeignKey("items.id"), primary_key=True),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("equal", sa.Boolean(), nullable=False),
        sa.Column("differences", sa.Text(), nullable=False),
        sa.Column("compared_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "comparisons_different", "comparisons", ["item"],
        sqlite_where=sa.text("equal IS 0"), postgresql_where=sa.text("equal IS false"),
    )
    op.create_table(
        "inventory_rows",
        sa.Column("inventory", sa.BigInteger(), sa.ForeignKey("inventories.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("category", sa.Integer(), nullable=False),
        sa.Column("gas", sa.String(32), nullable=False),
        sa.Column("mass_mg", sa.String(40), nullable=False),
        sa.Column("co2e_mg", sa.String(40), nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("agent_id", sa.String(64), primary_key=True),
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("item", sa.BigInteger(), sa.ForeignKey("items.id"), nullable=False),
        sa.Column("known_ms", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.String(129), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )
    op.create_index("plans_site", "plans", ["site"])
    op.create_table(
        "pushes",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.agent_id"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("pushed_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("settled_ms", sa.BigInteger()),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_index("pushes_state", "pushes", ["state", "agent_id"])
    op.create_table(
        "sessions",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("user", sa.String(64), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("browser", sa.String(200), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("sessions_user", "sessions", ["user"])
    op.create_table(
        "streams",
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.agent_id"), primary_key=True),
        sa.Column("stream_id", sa.LargeBinary(), primary_key=True),
        sa.Column("contiguous", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("placed", sa.BigInteger(), nullable=False),
        sa.Column("batches", sa.BigInteger(), nullable=False),
        sa.Column("last_to_ms", sa.BigInteger()),
    )
    op.create_table(
        "tombstones",
        sa.Column("item", sa.BigInteger(), sa.ForeignKey("items.id"), primary_key=True),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("stream_id", sa.LargeBinary(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("last_digest", sa.LargeBinary(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "uncompared",
        sa.Column("item", sa.BigInteger(), sa.ForeignKey("items.id"), primary_key=True, autoincrement=False),
    )
    op.create_table(
        "windows",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("item", sa.BigInteger(), sa.ForeignKey("items.id"), nullable=False),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Integer(), nullable=False),
        sa.Column("input", sa.Integer(), nullable=False),
        sa.Column("gas", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("activity", sa.BigInteger(), nullable=False),
        sa.Column("mass_mg", sa.BigInteger(), nullable=False),
        sa.Column("operating_ms", sa.BigInteger(), nullable=False),
        sa.Column("measured_ms", sa.BigInteger(), nullable=False),
        sa.Column("stopped_ms", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("u_independent", sa.Float(53), nullable=False),
        sa.Column("u_shared", sa.LargeBinary(), nullable=False),
        sa.Column("u_end", sa.Float(53), nullable=False),
    )
    op.create_index("windows_time", "windows", ["agent_id", "from_ms"])
