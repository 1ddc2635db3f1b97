"""``emitrace-collector agents ...``: which agents may send, how far they have come, and the end of their service."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from collector.api import shapes
from collector.books import open_books
from collector.clock import now_ms
from collector.command_line import CONFIG, AsJson, ConfigPath, system_user, told
from collector.config import load_config
from collector.store.agents import add_agent, named_agent, parse_public_key, view_agents
from collector.store.endings import Ending, end_service, endings

agents_app = typer.Typer(help="Agents that may send.", no_args_is_help=True)

Word = Annotated[str, typer.Argument(help="Its name, or its id or the first digits of it.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for those who read it in five years.")]


@agents_app.command(name="add")
def add(
    public_key: Annotated[str, typer.Argument(help="64 hex digits that `emitrace-agent key` prints.")],
    name: Annotated[str, typer.Option("--name", help="What people call it.")] = "",
    replaces: Annotated[str, typer.Option("--replaces", help="Agent whose meters it takes over: id or name.")] = "",
    config: ConfigPath = CONFIG,
) -> None:
    """Register an agent by its public key; from then on its items are believed."""
    with told(), open_books(load_config(config)) as books, books.database.writing() as connection:
        known = {view.agent_id: view.name for view in view_agents(connection)}
        before_it = named_agent(connection, replaces) if replaces else None
        agent = add_agent(connection, parse_public_key(public_key), name, now_ms(), before_it)
        before = known.get(agent.agent_id)
        said = "registered"
        if before is not None:
            said = "was registered already" if before == agent.name else f"was registered already as {before!r}"
        typer.echo(f"agent {agent.agent_id} ({agent.name}) {said}")
        if before_it is not None:
            typer.echo(f"it replaces agent {before_it.agent_id} ({before_it.name}), whose figures stay")


@agents_app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List registered agents and how far their streams have come."""
    with told(), open_books(load_config(config)) as books, books.database.reading() as connection:
        views, ended = view_agents(connection), endings(connection)
        if as_json:
            typer.echo(json.dumps([shapes.agent(view) for view in views], ensure_ascii=False))
            return
        for view in views:
            heads = ", ".join(f"{s.stream_id.hex()[:8]} up to {s.contiguous}" for s in view.streams) or "nothing yet"
            took_over = f"  replaces {view.replaces[:12]}" if view.replaces else ""
            over = f"  {ended[view.agent_id].ending.value}" if view.agent_id in ended else ""
            typer.echo(f"{view.agent_id}  {view.name}  {heads}{took_over}{over}")


@agents_app.command(name="revoke")
def revoke(agent: Word, reason: Why, config: ConfigPath = CONFIG) -> None:
    """Believe nothing more of an agent whose key may be in other hands; what is in the log by now stays."""
    _end(agent, Ending.REVOKED, reason, config)


@agents_app.command(name="retire")
def retire(agent: Word, reason: Why, config: ConfigPath = CONFIG) -> None:
    """Expect nothing more of an agent that is out of service; what it still held may come as files."""
    _end(agent, Ending.RETIRED, reason, config)


def _end(word: str, ending: Ending, reason: str, config: ConfigPath) -> None:
    with told(), open_books(load_config(config)) as books, books.database.writing() as connection:
        found = named_agent(connection, word)
        ended = end_service(connection, found, ending, reason, system_user(), now_ms())
        typer.echo(f"agent {found.agent_id} ({found.name}) is {ending.value}, leaf {ended.position} of the log")
        typer.echo("take its account from the broker: emitrace-collector broker-config, then reload mosquitto")
