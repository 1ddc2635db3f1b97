"""Every hour made anew: its mass is on the eight statuses of calibration from now on, and no longer on three."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Mark every cell that has rows; nothing of what is sealed changes."""
    op.execute(
        "INSERT INTO dirty_hours (agent_id, from_ms, to_ms, marks) "
        "SELECT DISTINCT agent_id, from_ms, to_ms, 1 FROM hours WHERE NOT EXISTS (SELECT 1 FROM dirty_hours "
        "WHERE dirty_hours.agent_id = hours.agent_id AND dirty_hours.from_ms = hours.from_ms)"
    )
