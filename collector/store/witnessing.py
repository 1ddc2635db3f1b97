"""What each agent, a witness of the log, holds of it, by its own status with our signature inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from collector.store.agents import AgentView
from collector.store.checkpoints import all_origins
from collector.store.origins import leads_to
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint
from protocols.transparency.note import NoteError


@dataclass(frozen=True, slots=True)
class Witness:
    """An agent and the checkpoint it holds; ``leads_here`` is whether this log bears it out."""

    agent: AgentView
    held: Checkpoint
    leads_here: bool


def witnesses(
    connection: Connection, agents: tuple[AgentView, ...], note_in: Callable[[str], str | None]
) -> list[Witness]:
    """The agents that hold a checkpoint which one of the log's own keys signed, the largest first.

    ``note_in`` reads the signed note out of an agent's status.
    """
    keys = {one.name: one.public_key for one in all_origins(connection)}
    found = []
    for agent in agents:
        note = note_in(agent.status) if agent.status else None
        if not note:
            continue
        try:
            name = note.partition("\n")[0]
            held = open_checkpoint(note.encode(), keys[name])
        except (NoteError, KeyError):
            continue
        found.append(Witness(agent, held, leads_to(connection, held)))
    return sorted(found, key=lambda one: -one.held.size)
