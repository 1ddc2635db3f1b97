"""One message: believed as a stream item, or refused with a reason. Pure but for the agents it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from collector.store.agents import Agent
from collector.store.rows import Arrival
from protocols.errors import EmitraceError
from protocols.key_change import KeyChange
from protocols.keyring import Replacement
from protocols.wire.codec import CONTENT_TYPES
from protocols.wire.cose import key_id, open_sealed
from protocols.wire.errors import Reason, WireError
from protocols.wire.topics import parse_up

UNLOGGED = 2**62
"""Position of what is not in the log yet: behind everything that is."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is kept in quarantine and goes no further."""

    topic: str
    agent_id: str
    reason: Reason
    detail: str
    data: bytes
    at_ms: int


def believe_all(
    messages: Iterable[tuple[str, bytes]], at_ms: int, agents: dict[str, Agent]
) -> list[Arrival | Refused]:
    """Check messages one after the other; a key that one of them takes on is among ``agents`` for those after it."""
    found = []
    for topic, data in messages:
        one = believe(topic, data, at_ms, agents)
        found.append(one)
        if isinstance(one, Arrival) and isinstance(one.item, KeyChange):
            agents[one.agent_id] = with_key(agents[one.agent_id], one.item)
    return found


def with_key(agent: Agent, change: KeyChange) -> Agent:
    """The agent with a key that is on its way into the books; one that is there already changes nothing."""
    if agent.ring.key(key_id(change.public_key)) is not None:
        return agent
    one = Replacement(change.stream_id, change.sequence, change.public_key, UNLOGGED)
    return replace(agent, ring=agent.ring.with_replacement(one))


def believe(topic: str, data: bytes, at_ms: int, agents: Mapping[str, Agent]) -> Arrival | Refused:
    """Check topic, key, signature, size and schema of one message.

    Chain, conflicts and plans are judged when the item takes its place in the stream.
    """
    agent_id = ""
    try:
        place = parse_up(topic)
        agent_id = place.agent_id
        sender = agents.get(agent_id)
        if sender is None:
            raise WireError(
                Reason.UNKNOWN_KEY, f"agent {agent_id[:12]}", "is not registered",
                "Register its public key with emitrace-collector agents add.",
            )  # fmt: skip
        sealed = open_sealed(data)
        item = sender.read(data)
        if fault := sender.ring.fault(sealed.kid, item.stream_id, item.sequence, None):
            raise WireError(Reason.REPLACED_KEY, f"item {item.sequence}", fault)
        if sealed.content_type != CONTENT_TYPES[place.kind]:
            raise WireError(
                Reason.WRONG_CONTENT_TYPE, "message", f"{sealed.content_type} on a topic of {place.kind.value} items"
            )
    except WireError as error:
        return Refused(topic, agent_id, error.reason, str(error), data, at_ms)
    except (EmitraceError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        return Refused(topic, agent_id, Reason.MALFORMED, f"{type(error).__name__}: {error}", data, at_ms)
    return Arrival(topic, agent_id, item, data, at_ms)
