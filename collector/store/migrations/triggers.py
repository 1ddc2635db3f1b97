"""Triggers for SQLite and PostgreSQL from one statement; revisions call these, so what they write never changes.

``NEW`` and ``OLD`` name the row in both. A condition or an amount is SQL that both understand.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

Count = tuple[str, str | None, str]
"""(name of the tally, column that is its label or None for one count of all, amount of a ``{row}``)"""


def refuse(name: str, action: str, table: str, condition: str, why: str) -> None:
    """Make the database refuse an INSERT, UPDATE or DELETE of rows for which the condition holds."""
    if not _is_postgresql():
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {action} ON {table} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )
        return
    row = "OLD" if action == "DELETE" else "NEW"
    _function(name, f"IF {condition} THEN RAISE EXCEPTION '{why}' USING ERRCODE = '23000'; END IF; RETURN {row};")
    op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def refuse_truncate(table: str, why: str) -> None:
    """PostgreSQL empties a table without asking row triggers: that is refused whole. SQLite has no TRUNCATE."""
    if _is_postgresql():
        name = f"{table}_no_truncate"
        _function(name, f"RAISE EXCEPTION '{why}' USING ERRCODE = '23000';")
        op.execute(f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()")


def tally(name: str, action: str, table: str, counts: Sequence[Count], when: str = "") -> None:
    """Count rows into ``tallies`` as they come (INSERT), go (DELETE) or grow (UPDATE).

    PostgreSQL counts once per statement: a row changed often within a transaction is slow there.
    """
    if _is_postgresql():
        _tally_statement(name, action, table, counts, when)
        return
    of = "OLD" if action == "DELETE" else "NEW"
    condition = f" WHEN {when.format(row=of)}" if when else ""
    statements = " ".join(_count(one, action) for one in counts)
    op.execute(f"CREATE TRIGGER {name} AFTER {action} ON {table}{condition} BEGIN {statements} END")


def _count(count: Count, action: str) -> str:
    name, label, amount = count
    of = "OLD" if action == "DELETE" else "NEW"
    value = amount.format(row=of)
    if action == "DELETE":
        value = f"-{value}"
    elif action == "UPDATE":
        value = f"{value} - {amount.format(row='OLD')}"
    said = "''" if label is None else f"{of}.{label}"
    return (
        f"INSERT INTO tallies VALUES ('{name}', {said}, {value}) "
        f"ON CONFLICT (name, label) DO UPDATE SET value = value + {value};"
    )


def _tally_statement(name: str, action: str, table: str, counts: Sequence[Count], when: str) -> None:
    statements = []
    rows = [("gone", "-")] * (action != "INSERT") + [("come", "")] * (action != "DELETE")
    for tallied, label, amount in counts:
        said = "''" if label is None else label
        parts = " UNION ALL ".join(
            f"SELECT {said} AS label, {sign}({amount.format(row=of)}) AS amount FROM {of}"
            + (f" WHERE {when.format(row=of)}" if when else "")
            for of, sign in rows
        )
        statements.append(
            f"INSERT INTO tallies SELECT '{tallied}', label, sum(amount) FROM ({parts}) AS counted GROUP BY label "
            "ON CONFLICT (name, label) DO UPDATE SET value = tallies.value + excluded.value;"
        )
    _function(name, " ".join(statements) + " RETURN NULL;")
    tables = " ".join(f"{'OLD' if of == 'gone' else 'NEW'} TABLE AS {of}" for of, _ in rows)
    op.execute(
        f"CREATE TRIGGER {name} AFTER {action} ON {table} REFERENCING {tables} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )


def _function(name: str, body: str) -> None:
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
