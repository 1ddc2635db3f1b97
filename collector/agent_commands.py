"""``emitrace-collector agents ...``: which agents may send, how far they have come, and the end of their service."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from collector import enrolling
from collector.api import shapes
from collector.books import open_books
from collector.clock import now_ms
from collector.command_line import CONFIG, AsJson, ConfigPath, system_user, told
from collector.config import load_config
from collector.store.agents import add_agent, named_agent, parse_public_key, view_agents
from collector.store.endings import Ending, endings
from collector.store.enrolments import DEFAULT_MINUTES, waiting_enrolments
from protocols.enrolment import State
from protocols.errors import EmitraceError

agents_app = typer.Typer(help="Agents that may send.", no_args_is_help=True)

ACCOUNTS_HINT = "where [enrolment] accounts is not set: run emitrace-collector broker-config; then reload mosquitto"

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


@agents_app.command(name="invite")
def invite(
    name: Annotated[str, typer.Argument(help="What people will call the agent.")],
    facility: Annotated[str, typer.Option("--facility", help="Id of the facility in its plan; no other is taken.")],
    minutes: Annotated[int, typer.Option("--minutes", help="How long the invitation is good.")] = DEFAULT_MINUTES,
    replaces: Annotated[str, typer.Option("--replaces", help="Agent whose meters it takes over: id or name.")] = "",
    into: Annotated[Path | None, typer.Option("--into", help="New file for it, instead of printing it.")] = None,
    config: ConfigPath = CONFIG,
) -> None:
    """Make an invitation for `emitrace-agent enroll`, good for one agent, and print it, this once."""
    with told(), open_books(load_config(config)) as books:
        if into is not None and into.exists():
            raise EmitraceError("--into", f"{into} exists", "Name a file that does not exist.")
        made, token = enrolling.invite(books, name, facility, minutes, system_user(), replaces=replaces)
        typer.echo(f"invitation {token.id} for {token.name} of {token.facility}, good for {minutes} minutes", err=True)
        if into is None:
            typer.echo(made.text())
            return
        with os.fdopen(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{made.text()}\n")


@agents_app.command(name="waiting")
def waiting(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List agents that ask to be enrolled, with the digits that their consoles must show."""
    with told(), open_books(load_config(config)) as books, books.database.reading() as connection:
        found = [
            {
                "number": one.token.id, "digits": one.digits(books.public_key), "name": one.token.name,
                "facility": one.token.facility, "agent": one.agent_id, "address": one.address,
            }
            for one in waiting_enrolments(connection)
        ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for each in found:
        typer.echo("{number:5}  {digits}  {name} of {facility}, agent {agent} from {address}".format(**each))


@agents_app.command(name="confirm")
def confirm(
    number: Annotated[int, typer.Argument(help="Its number, as `agents waiting` prints it.")],
    digits: Annotated[str, typer.Option("--digits", help="What the agent's console shows.")],
    config: ConfigPath = CONFIG,
) -> None:
    """Enrol an agent whose console shows these digits; from then on its items are believed."""
    with told(), open_books(load_config(config)) as books:
        with books.database.reading() as connection:
            mine = {one.token.id: one.digits(books.public_key) for one in waiting_enrolments(connection)}
        if number in mine and "".join(digits.split()) != "".join(mine[number].split()):
            hint = "It is another agent than the one before you: refuse it."
            raise EmitraceError(f"enrolment {number}", f"has the digits {mine[number]}, not {digits}", hint)
        _say(number, State.CONFIRMED, enrolling.settle(books, number, State.CONFIRMED, system_user()))


@agents_app.command(name="refuse")
def refuse(
    number: Annotated[int, typer.Argument(help="Its number, as `agents waiting` prints it.")],
    config: ConfigPath = CONFIG,
) -> None:
    """Refuse an agent that asks to be enrolled."""
    with told(), open_books(load_config(config)) as books:
        _say(number, State.REFUSED, enrolling.settle(books, number, State.REFUSED, system_user()))


@agents_app.command(name="revoke")
def revoke(agent: Word, reason: Why, config: ConfigPath = CONFIG) -> None:
    """Believe nothing more of an agent whose key may be in other hands; what is in the log by now stays."""
    _end(agent, Ending.REVOKED, reason, config)


@agents_app.command(name="retire")
def retire(agent: Word, reason: Why, config: ConfigPath = CONFIG) -> None:
    """Expect nothing more of an agent that is out of service; what it still held may come as files."""
    _end(agent, Ending.RETIRED, reason, config)


def _end(word: str, ending: Ending, reason: str, config: ConfigPath) -> None:
    with told(), open_books(load_config(config)) as books:
        ended, done = enrolling.end_agent(books, word, ending, reason, system_user())
        typer.echo(f"agent {ended.agent_id} is {ending.value}, leaf {ended.position} of the log")
        typer.echo(done.problem or ACCOUNTS_HINT)


def _say(number: int, decision: State, done: enrolling.Done) -> None:
    typer.echo(f"enrolment {number} is {decision.value}")
    if decision is State.CONFIRMED:
        typer.echo(done.problem or ACCOUNTS_HINT)
