"""One message: believed as a stream item, or refused with a reason. Pure but for the agents it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.store.agents import Agent
from collector.store.placing import Arrival
from protocols.errors import EmitraceError
from protocols.wire.codec import CONTENT_TYPES, read_item
from protocols.wire.cose import open_sealed
from protocols.wire.errors import Reason, WireError
from protocols.wire.topics import parse_up


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is kept in quarantine and goes no further."""

    topic: str
    agent_id: str
    reason: Reason
    detail: str
    data: bytes
    at_ms: int


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
        item = read_item(data, sender.public_key)
        if sealed.content_type != CONTENT_TYPES[place.kind]:
            raise WireError(
                Reason.WRONG_CONTENT_TYPE, "message", f"{sealed.content_type} on a topic of {place.kind.value} items"
            )
    except WireError as error:
        return Refused(topic, agent_id, error.reason, str(error), data, at_ms)
    except (EmitraceError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        return Refused(topic, agent_id, Reason.MALFORMED, f"{type(error).__name__}: {error}", data, at_ms)
    return Arrival(topic, agent_id, item, data, at_ms)
