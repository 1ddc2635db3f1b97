"""How the tables came to be: one linear chain of Alembic revisions, carried by the installed package.

A schema change is a new module in ``versions`` (``rNNNN_what.py`` with ``revision = "NNNN"`` and the number before it
as ``down_revision``) beside the changed table in ``collector.store.schema``; a test compares the two on every database.
Revisions are read forward only: the way back is the backup made before. ``about.schema`` states the number, so that
programs from before the migrations refuse what they do not know.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Connection, inspect, select, update

from collector.store.schema.base import about
from collector.store.upsert import upsert
from protocols.errors import EmitraceError

FOLDER = Path(__file__).parent
FIRST = 4
"""Programs up to this version made the tables without migrations; that is the first revision."""
NEWEST = max(int(path.name[1:5]) for path in (FOLDER / "versions").glob("r[0-9][0-9][0-9][0-9]_*.py"))


class SchemaError(EmitraceError):
    """Books of a schema version that this program cannot work on as they are."""


def stated_version(connection: Connection) -> int | None:
    """The schema version the books state; None where there are no tables of books at all."""
    if not inspect(connection).has_table(about.name):
        return None
    said = connection.scalar(select(about.c.value).where(about.c.key == "schema"))
    if said is None or not re.fullmatch(r"[0-9]{1,4}", said):
        raise SchemaError("database", f"schema version {said!r}", "Name a database that this program made.")
    return int(said)


def is_older(seen: int) -> bool:
    """Whether books of that version can be brought forward."""
    return FIRST <= seen < NEWEST


def check_known(seen: int) -> None:
    """SchemaError where books of that version are newer than this program, or older than the first revision."""
    if seen > NEWEST:
        raise SchemaError(
            "database", f"schema version {seen}, this program knows {NEWEST}",
            "It was used by a newer program: use that one, or restore the backup made before.",
        )  # fmt: skip
    if seen < FIRST:
        raise SchemaError(
            "database", f"schema version {seen}, the oldest this program can bring forward is {FIRST}",
            "Nothing was released with it: start new books.",
        )  # fmt: skip


def check_version(seen: int) -> None:
    """SchemaError where this program cannot work on books of that version as they are."""
    check_known(seen)
    if seen < NEWEST:
        raise SchemaError(
            "database", f"schema version {seen}, this program works on {NEWEST}",
            "Stop serve and run emitrace-collector migrate, which makes a backup first.",
        )  # fmt: skip


def bring_forward(connection: Connection) -> None:
    """Make or change the tables up to the newest revision, in the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    seen = stated_version(connection)
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    if seen is not None and not inspect(connection).has_table("alembic_version"):
        command.stamp(config, f"{FIRST:04}")
    command.upgrade(config, "head")
    stated = {"key": "schema", "value": str(NEWEST)}
    if seen is None:
        connection.execute(upsert(connection, about).values(**stated))
    else:
        connection.execute(update(about).where(about.c.key == "schema").values(value=str(NEWEST)))
