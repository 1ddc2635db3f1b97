"""Agents that the central team has registered; nobody else's items are believed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from collector.store.log import append_leaf
from collector.store.schema import agents, items, streams, tombstones
from protocols.errors import EmitraceError


@dataclass(frozen=True, slots=True)
class Agent:
    """A registered agent; ``agent_id`` is the SHA-256 of its raw Ed25519 public key, hex."""

    agent_id: str
    public_key: bytes
    name: str


@dataclass(frozen=True, slots=True)
class StreamView:
    """How far a stream has come; ``ahead`` items wait behind a gap, ``last_to_ms`` ends the last placed batch."""

    agent_id: str
    stream_id: bytes
    contiguous: int
    ahead: int
    placed: int
    last_to_ms: int | None


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent as the pages show it; ``status`` is its own unsigned word, never evidence."""

    agent_id: str
    name: str
    last_seen_ms: int | None
    status: str | None
    streams: tuple[StreamView, ...]
    dropped_items: int


def parse_public_key(text: str) -> bytes:
    """32 raw bytes from 64 hex digits."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise EmitraceError(
            "agent public key", f"{text.strip()[:80]!r}",
            "Give the 64 hex digits that `emitrace-agent key` prints as public key.",
        )  # fmt: skip
    return key


def add_agent(connection: Connection, public_key: bytes, name: str, at_ms: int) -> Agent:
    """Register an agent; registering it again only renames it."""
    agent_id = hashlib.sha256(public_key).hexdigest()
    if connection.scalar(select(agents.c.agent_id).where(agents.c.agent_id == agent_id)) is None:
        connection.execute(
            insert(agents).values(agent_id=agent_id, public_key=public_key, name=name or agent_id[:12], added_ms=at_ms)
        )
        append_leaf(connection, "agent-key", agent_id, hashlib.sha256(public_key).digest(), at_ms)
    elif name:
        connection.execute(update(agents).where(agents.c.agent_id == agent_id).values(name=name))
    row = connection.execute(select(agents).where(agents.c.agent_id == agent_id)).one()
    return Agent(row.agent_id, row.public_key, row.name)


def find_agent(connection: Connection, agent_id: str) -> Agent | None:
    """The agent of that id, or None."""
    row = connection.execute(select(agents).where(agents.c.agent_id == agent_id)).first()
    return None if row is None else Agent(row.agent_id, row.public_key, row.name)


def all_agents(connection: Connection) -> tuple[Agent, ...]:
    """Every registered agent, by name."""
    rows = connection.execute(select(agents).order_by(agents.c.name, agents.c.agent_id))
    return tuple(Agent(row.agent_id, row.public_key, row.name) for row in rows)


def view_agents(connection: Connection) -> tuple[AgentView, ...]:
    """Every agent with its streams."""
    dropped: dict[str, int] = {}
    for row in connection.execute(select(tombstones)):
        dropped[row.agent_id] = dropped.get(row.agent_id, 0) + row.last - row.first + 1
    waiting = (
        select(func.count())
        .where(items.c.agent_id == streams.c.agent_id, items.c.stream_id == streams.c.stream_id,
               items.c.sequence > streams.c.contiguous)
        .scalar_subquery()
    )  # fmt: skip
    views: dict[str, list[StreamView]] = {}
    for row in connection.execute(select(streams, waiting.label("ahead")).order_by(streams.c.first_ms)):
        views.setdefault(row.agent_id, []).append(
            StreamView(row.agent_id, row.stream_id, row.contiguous, row.ahead, row.placed, row.last_to_ms)
        )
    return tuple(
        AgentView(
            row.agent_id, row.name, row.last_seen_ms, row.status, tuple(views.get(row.agent_id, ())),
            dropped.get(row.agent_id, 0),
        )
        for row in connection.execute(select(agents).order_by(agents.c.name, agents.c.agent_id))
    )  # fmt: skip
