"""Plans for agents that are out in the field: push a version, and see what became of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from collector.books import open_books
from collector.clock import now_ms
from collector.command_line import CONFIG, FINDINGS, AsJson, ConfigPath, told
from collector.config import load_config
from collector.store.agents import all_agents, named_agent
from collector.store.pushes import REFUSED, add_push, all_pushes
from collector.web.shown import instant
from protocols.plan.compare import changes
from protocols.plan.document import document_digest, make_document, open_document

UTC_ZONE = ZoneInfo("UTC")

plan_app = typer.Typer(help="Monitoring plans of agents in the field.", no_args_is_help=True)


@plan_app.command(name="push")
def push(
    agent: Annotated[str, typer.Argument(help="Its id, the first digits of it, or its name.")],
    file: Annotated[Path, typer.Argument(help="The plan's TOML file; its own register maps lie in maps beside it.")],
    config: ConfigPath = CONFIG,
) -> None:
    """Check a plan, say what it changes, and have `serve` send it, signed, until the agent goes on with it."""
    with told():
        document = make_document(file)
        new = open_document(document, str(file)).plan
        with open_books(load_config(config)) as books, books.database.writing() as connection:
            wanted = named_agent(connection, agent)
            old = add_push(connection, books.plans, wanted, document, now_ms())
        typer.echo(f"agent {wanted.agent_id} ({wanted.name}): plan {old.plan.version} to {new.version}")
        for line in changes(old.plan, new):
            typer.echo(f"  {line}")
        typer.echo(f"digest {document_digest(document).hex()}; `emitrace-collector plan list` says what becomes of it")


@plan_app.command(name="list")
def plan_list(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List pushed plans, newest first, times in UTC; exit 1 where an agent has refused one."""
    with told(), open_books(load_config(config)) as books:
        with books.database.reading() as connection:
            found = all_pushes(connection)
            names = {one.agent_id: one.name for one in all_agents(connection)}
        if as_json:
            typer.echo(json.dumps([
                {"agent": one.agent_id, "plan": one.digest.hex(), "version": one.version, "pushed_ms": one.pushed_ms,
                 "state": one.state, "settled_ms": one.settled_ms, "detail": one.detail}
                for one in found
            ], ensure_ascii=False))  # fmt: skip
        for one in () if as_json else found:
            since = f" since {instant(one.settled_ms, UTC_ZONE)}" if one.settled_ms is not None else ""
            detail = f": {one.detail}" if one.detail else ""
            pushed = instant(one.pushed_ms, UTC_ZONE)
            typer.echo(f"{pushed}  {names[one.agent_id]}  {one.version}  {one.state}{since}{detail}")
    raise typer.Exit(FINDINGS if any(one.state == REFUSED for one in found) else 0)
