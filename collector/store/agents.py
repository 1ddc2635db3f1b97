"""Agents that the central team has registered; nobody else's items are believed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from collector.store.audit import SERVICE, record
from collector.store.log import append_leaf
from collector.store.schema import agent_keys, agents, items, streams, tombstones
from protocols.errors import EmitraceError
from protocols.key_change import KeyChange
from protocols.keyring import Keyring, Replacement
from protocols.records import StreamItem
from protocols.wire.keys import fingerprint

LEAST_PREFIX = 8
"""Digits of an agent's id that may stand for it."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A registered agent; ``agent_id`` is the SHA-256 of its first raw Ed25519 public key, hex.

    ``replaces`` is the agent whose meters it took over, where there is one.
    """

    agent_id: str
    ring: Keyring
    name: str
    replaces: str | None = None

    @property
    def public_key(self) -> bytes:
        """Its first key."""
        return self.ring.first

    def read(self, data: bytes) -> StreamItem:
        """The item that one of its keys signed as these bytes; WireError with its reason otherwise."""
        return self.ring.read(data)


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
    replaces: str | None


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


def add_agent(
    connection: Connection, public_key: bytes, name: str, at_ms: int, replaces: Agent | None = None
) -> Agent:
    """Register an agent; registering it again only renames it, or says whose meters it took over."""
    agent_id = hashlib.sha256(public_key).hexdigest()
    own = agents.c.agent_id == agent_id
    if connection.scalar(select(agents.c.agent_id).where(own)) is None:
        connection.execute(
            insert(agents).values(agent_id=agent_id, public_key=public_key, name=name or agent_id[:12], added_ms=at_ms)
        )
        append_leaf(connection, "agent-key", agent_id, hashlib.sha256(public_key).digest(), at_ms)
        record(connection, "agent-added", agent_id, at_ms, detail=name)
    elif name:
        connection.execute(update(agents).where(own).values(name=name))
        record(connection, "agent-named", agent_id, at_ms, detail=name)
    if replaces is not None:
        if replaces.agent_id == agent_id:
            raise EmitraceError("--replaces", f"agent {replaces.name} itself", "Name the agent that it replaces.")
        connection.execute(update(agents).where(own).values(replaces=replaces.agent_id))
        record(connection, "agent-replaces", agent_id, at_ms, detail=replaces.agent_id)
    return _agent(connection.execute(select(agents).where(own)).one(), _replacements(connection, agent_id))


def find_agent(connection: Connection, agent_id: str) -> Agent | None:
    """The agent of that id, or None."""
    row = connection.execute(select(agents).where(agents.c.agent_id == agent_id)).first()
    return None if row is None else _agent(row, _replacements(connection, agent_id))


def named_agent(connection: Connection, word: str) -> Agent:
    """The one agent whose name this is, or whose id begins so; EmitraceError where it is none or several."""
    known = all_agents(connection)
    found = [one for one in known if one.name == word] or [
        one for one in known if len(word) >= LEAST_PREFIX and one.agent_id.startswith(word.lower())
    ]
    if len(found) == 1:
        return found[0]
    seen = f"{len(found)} agents are called so" if found else "no agent is called so"
    hint = "Give the id, or its first digits, as `emitrace-collector agents list` prints it."
    raise EmitraceError(f"agent {word!r}", seen, hint)


def all_agents(connection: Connection) -> tuple[Agent, ...]:
    """Every registered agent, by name."""
    rows = connection.execute(select(agents).order_by(agents.c.name, agents.c.agent_id)).all()
    found = _replacements(connection)
    return tuple(_agent(row, found) for row in rows)


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
            dropped.get(row.agent_id, 0), row.replaces,
        )
        for row in connection.execute(select(agents).order_by(agents.c.name, agents.c.agent_id))
    )  # fmt: skip


def keep_key(connection: Connection, agent_id: str, change: KeyChange, leaf: int, at_ms: int) -> None:
    """Note that an agent has taken on another key, by an item of its stream that the key before signed."""
    connection.execute(
        insert(agent_keys).values(
            leaf=leaf, agent_id=agent_id, public_key=change.public_key, stream_id=change.stream_id,
            sequence=change.sequence, known_ms=at_ms,
        )
    )
    detail = f"{fingerprint(change.public_key)}, item {change.sequence} of stream {change.stream_id.hex()}"
    record(connection, "agent-key-changed", agent_id, at_ms, detail=detail, by=SERVICE)


def _replacements(connection: Connection, agent_id: str | None = None) -> dict[str, list[Replacement]]:
    query = select(agent_keys).order_by(agent_keys.c.leaf)
    if agent_id is not None:
        query = query.where(agent_keys.c.agent_id == agent_id)
    found: dict[str, list[Replacement]] = {}
    for row in connection.execute(query):
        one = Replacement(row.stream_id, row.sequence, row.public_key, row.leaf)
        found.setdefault(row.agent_id, []).append(one)
    return found


def _agent(row: Row[Any], found: dict[str, list[Replacement]]) -> Agent:
    return Agent(row.agent_id, Keyring(row.public_key, tuple(found.get(row.agent_id, ()))), row.name, row.replaces)
