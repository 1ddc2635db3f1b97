"""The books say whose they are under the name ``collector``: an origin is the log's, and that has its own table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

about = sa.table("about", sa.column("key", sa.String), sa.column("value", sa.Text))


def upgrade() -> None:
    """Rename the entry that holds the fingerprint of the collector's key."""
    op.execute(sa.update(about).where(about.c.key == "origin").values(key="collector"))
