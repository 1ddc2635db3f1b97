"""MQTT topics. QoS 1 but for ``live``, which is 0; only ``status`` and the collector's key are retained."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.records import ItemKind
from protocols.wire.errors import Reason, WireError

ROOT = "emitrace/v1"
COLLECTOR_KEY = f"{ROOT}/collector/key"
"""Retained: the collector's raw public key. An agent believes it only where its fingerprint is the one it holds."""

ALL_UP = f"{ROOT}/+/up/+"
"""Subscription of the collector to every item of every agent."""

ALL_STATUS = f"{ROOT}/+/status"
"""Subscription to every agent's unsigned status; never evidence."""

ALL_LIVE = f"{ROOT}/+/live"
"""Subscription to the unsigned live values of watched agents; never evidence."""

_AGENT_ID = re.compile(r"[0-9a-f]{64}")
_STATUS = re.compile(rf"{ROOT}/([0-9a-f]{{64}})/status")
_UP = re.compile(rf"{ROOT}/([0-9a-f]{{64}})/up/({'|'.join(kind.value for kind in ItemKind)})")

_LIVE = re.compile(rf"{ROOT}/([0-9a-f]{{64}})/live")


@dataclass(frozen=True, slots=True)
class UpTopic:
    """Whose item of which kind a topic carries."""

    agent_id: str
    kind: ItemKind


def up(agent_id: str, kind: ItemKind) -> str:
    """Where an agent publishes items of a kind."""
    return f"{ROOT}/{_checked(agent_id)}/up/{kind.value}"


def ack(agent_id: str) -> str:
    """Where the collector acknowledges to an agent."""
    return f"{ROOT}/{_checked(agent_id)}/down/ack"


def resend(agent_id: str) -> str:
    """Where the collector asks an agent for items again."""
    return f"{ROOT}/{_checked(agent_id)}/down/resend"


def plan_push(agent_id: str) -> str:
    """Where the collector sends a plan for an agent to go on with."""
    return f"{ROOT}/{_checked(agent_id)}/down/plan"


def watch(agent_id: str) -> str:
    """Where the collector says which points pages want live."""
    return f"{ROOT}/{_checked(agent_id)}/down/watch"


def notice(agent_id: str) -> str:
    """Where the collector says how the calibration of an agent's instruments stands."""
    return f"{ROOT}/{_checked(agent_id)}/down/notice"


def live(agent_id: str) -> str:
    """Where a watched agent publishes its newest values, unsigned."""
    return f"{ROOT}/{_checked(agent_id)}/live"


def down(agent_id: str) -> str:
    """Subscription of an agent to its back path."""
    return f"{ROOT}/{_checked(agent_id)}/down/+"


def status(agent_id: str) -> str:
    """Where an agent keeps its unsigned status."""
    return f"{ROOT}/{_checked(agent_id)}/status"


def parse_up(topic: str) -> UpTopic:
    """Agent and kind of an upward topic; WireError for any other topic."""
    match = _UP.fullmatch(topic)
    if match is None:
        raise WireError(Reason.MALFORMED, "topic", repr(topic[:200]), f"{ROOT}/AGENT_ID/up/KIND")
    return UpTopic(match[1], ItemKind(match[2]))


def parse_live(topic: str) -> str:
    """The agent of a live topic; WireError for any other topic."""
    match = _LIVE.fullmatch(topic)
    if match is None:
        raise WireError(Reason.MALFORMED, "topic", repr(topic[:200]), f"{ROOT}/AGENT_ID/live")
    return match[1]


def parse_status(topic: str) -> str | None:
    """Agent of a status topic; None for any other topic."""
    match = _STATUS.fullmatch(topic)
    return None if match is None else match[1]


def _checked(agent_id: str) -> str:
    if not _AGENT_ID.fullmatch(agent_id):
        raise ValueError(f"agent id {agent_id!r} is not 64 hexadecimal digits in lower case")
    return agent_id
