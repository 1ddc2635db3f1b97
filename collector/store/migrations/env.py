"""What Alembic runs: the revisions, on the connection it was given, inside the transaction begun on it."""

from __future__ import annotations

from alembic import context

from collector.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
