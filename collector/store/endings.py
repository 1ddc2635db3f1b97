"""The end of an agent's service: retired, or revoked, from whose leaf on nothing of it is believed any more.

What counts is the position in the log, which nobody can date back: an item of a revoked agent that is not in the log
by then is quarantined, whatever its own clock says.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, insert, select

from collector.store.agents import Agent
from collector.store.audit import record
from collector.store.log import append_leaf
from collector.store.schema import agent_endings
from protocols.errors import EmitraceError
from protocols.wire.cbor import encode

LONGEST_REASON = 2000


class Ending(StrEnum):
    """How a service ended; the leaf's kind is ``agent-`` and this word."""

    REVOKED = "revoked"
    """Its key may be in other hands: what is logged later is not believed."""
    RETIRED = "retired"
    """It is out of service and not expected any more; what it still held is taken."""

    @property
    def leaf(self) -> str:
        """The kind of its leaf, and its word in the audit trail."""
        return f"agent-{self.value}"


@dataclass(frozen=True, slots=True)
class Ended:
    """When, by whom and why a service ended; ``position`` is that of its leaf."""

    position: int
    agent_id: str
    ending: Ending
    reason: str
    by: str
    at_ms: int


def end_service(connection: Connection, agent: Agent, ending: Ending, reason: str, by: str, at_ms: int) -> Ended:
    """Revoke or retire an agent for ever: a row, its leaf and its entry of the audit trail.

    Raises
    ------
    EmitraceError
        No reason is given, or its service has ended so already.
    """
    why = reason.strip()
    if not why:
        hint = "Say why, for those who read it in five years."
        raise EmitraceError(f"agent {agent.name}", "no reason is given", hint)
    ended = endings(connection).get(agent.agent_id)
    if ended is not None and (ended.ending is ending or ended.ending is Ending.REVOKED):
        seen = f"is {ended.ending.value} already, by {ended.by}: {ended.reason}"
        raise EmitraceError(f"agent {agent.name}", seen, "Enrol its machine anew where it is to send again.")
    row = {
        "agent_id": agent.agent_id, "ending": ending.value, "reason": why[:LONGEST_REASON], "by": by[:64],
        "at_ms": at_ms,
    }  # fmt: skip
    document = encode(list(row.values()))
    position = append_leaf(connection, ending.leaf, agent.agent_id, hashlib.sha256(document).digest(), at_ms)
    connection.execute(insert(agent_endings).values(position=position, document=document, **row))
    record(connection, ending.leaf, agent.agent_id, at_ms, detail=why)
    return Ended(position, agent.agent_id, ending, why[:LONGEST_REASON], by[:64], at_ms)


def endings(connection: Connection) -> dict[str, Ended]:
    """The newest ending of every agent whose service has ended, by agent id."""
    columns = [column for column in agent_endings.c if column.name != "document"]
    found = {}
    for row in connection.execute(select(*columns).order_by(agent_endings.c.position)).mappings():
        ended = Ended(**{**row, "ending": Ending(row["ending"])})
        found[ended.agent_id] = ended
    return found


def revoked_agents(connection: Connection) -> frozenset[str]:
    """Ids of the agents of whom nothing new is believed."""
    found = select(agent_endings.c.agent_id).where(agent_endings.c.ending == Ending.REVOKED.value)
    return frozenset(connection.scalars(found))
