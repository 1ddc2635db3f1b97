"""``emitrace-agent log``: what this agent holds of the collector's evidence log, and what spoke against it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import typer

from agent.config import load_config
from agent.console import CONFIG, FINDINGS, AsJson, ConfigPath, say, shown_utc, told
from agent.held_log import read_proof
from agent.outbox import OutboxError
from agent.service import OUTBOX


def show_log(config: ConfigPath = CONFIG, as_json: AsJson = False) -> None:
    """Print the checkpoint this agent has checked last, and both sides of every alarm and change of origin.

    Exit 1 where there is an alarm.
    """
    with told():
        held, alarms, changes = _read(load_config(config).state_dir / OUTBOX)
    if as_json:
        say(json.dumps({"held": held, "alarms": alarms, "successions": changes}))
    elif held is None:
        say("No checkpoint was checked yet: none came, or the collector keeps none.")
    else:
        say(f"Checked {shown_utc(held['checked_ms'])}, signed by the log's key {held['key']}:\n\n{held['note']}")
    for alarm in () if as_json else alarms:
        say(f"ALARM {shown_utc(alarm['at_ms'])}: {alarm['reason']}\n\nheld:\n{alarm['held']}\ncame:\n{alarm['seen']}")
    for one in () if as_json else changes:
        say(
            f"NEW ORIGIN {shown_utc(one['at_ms'])}: the collector was restored; of what was held {one['unproven']}"
            f" leaves cannot be proven any more\n\nheld:\n{one['held']}\nthen:\n{one['seen']}"
        )
    if alarms:
        if not as_json:
            say("Keep the outbox: both are signed, and together the proof. Tell somebody outside the central team.")
        raise typer.Exit(FINDINGS)


def _read(path: Any) -> tuple[dict[str, Any] | None, list[dict[str, Any]], list[dict[str, Any]]]:
    """Beside a running agent; EmitraceError where there is no outbox."""
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            row = connection.execute("select key, note, checked_ms from held_checkpoint").fetchone()
            query = "select at_ms, reason, held, seen, key, proof from log_alarms order by id"
            rows = connection.execute(query).fetchall()
            query = "select at_ms, unproven, held, seen, record from log_successions order by id"
            changed = connection.execute(query).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise OutboxError(f"outbox {path}", str(error), "has the agent run here?") from error
    held = None if row is None else {"key": row[0].hex(), "note": row[1].decode(), "checked_ms": row[2]}
    names = ("at_ms", "reason", "held", "seen", "key", "proof")
    alarms = [dict(zip(names, _text(row), strict=True)) for row in rows]
    changes = [
        {"at_ms": at_ms, "unproven": unproven, "held": before.decode(), "seen": seen.decode(), "record": record.hex()}
        for at_ms, unproven, before, seen, record in changed
    ]
    return held, alarms, changes


def _text(row: tuple[Any, ...]) -> tuple[Any, ...]:
    at_ms, reason, held, seen, key, proof = row
    return (
        at_ms, reason, held.decode("utf-8", "backslashreplace"), seen.decode("utf-8", "backslashreplace"), key.hex(),
        [node.hex() for node in read_proof(proof)],
    )  # fmt: skip
