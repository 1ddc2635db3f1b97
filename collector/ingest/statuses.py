"""An agent's unsigned status, read once: what the pages show, what to ask for again, what it holds of the log.

Nothing of it is evidence but the checkpoint and the acknowledgement in it, which we signed ourselves.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from protocols.wire import topics
from protocols.wire.items import STREAM_BYTES

LONGEST = 16 * 1024
"""A longer status is passed over. [bytes]"""


@dataclass(frozen=True, slots=True)
class Status:
    """What an agent says of itself.

    Attributes
    ----------
    text : str
        All of it, as JSON.
    acknowledged : (bytes, int) or None
        Its stream and the last sequence that was acknowledged.
    checkpoint : str or None
        The signed note of the checkpoint it holds, empty where it holds none; None where it says nothing of the log.
    receipt : bytes or None
        An acknowledgement as we signed it; whether we did is for others to see.
    notice : (bytes, int) or None
        Its stream and when the notice it holds was issued, 0 where it holds none; None where it takes none. [UTC ms]
    knows_origins : bool
        Whether it understands the proof of a new origin.
    """

    text: str
    acknowledged: tuple[bytes, int] | None = None
    checkpoint: str | None = None
    knows_origins: bool = False
    receipt: bytes | None = None
    notice: tuple[bytes, int] | None = None


def read_status(data: bytes) -> Status | None:
    """The status in a message; None where there is none."""
    if len(data) > LONGEST:
        return None
    try:
        told = json.loads(data)
        text = json.dumps(told, ensure_ascii=False)
        text.encode()  # half a surrogate pair is JSON, but no database takes it
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return Status(text)
    note = told.get("log_checkpoint")
    return Status(
        text, _acknowledged(told), note if isinstance(note, str) else None,
        type(told.get("log_successions")) is int, _receipt(told), _notice(told),
    )  # fmt: skip


def newest_statuses(messages: Iterable[tuple[str, bytes]], known: Collection[str]) -> dict[str, Status]:
    """The last readable status of each registered agent among (topic, payload) messages."""
    found: dict[str, Status] = {}
    for topic, payload in messages:
        agent_id = topics.parse_status(topic)
        if agent_id is not None and agent_id in known and (status := read_status(payload)) is not None:
            found[agent_id] = status
    return found


def _receipt(told: dict[str, Any]) -> bytes | None:
    try:
        return b64decode(told["receipt"], validate=True) or None
    except (ValueError, LookupError, TypeError):
        return None


def _notice(told: dict[str, Any]) -> tuple[bytes, int] | None:
    try:
        stream_id, issued_ms = bytes.fromhex(told["stream"]), told["notice_ms"]
    except (ValueError, LookupError, TypeError):
        return None
    fits = len(stream_id) == STREAM_BYTES and type(issued_ms) is int and 0 <= issued_ms < 2**48
    return (stream_id, issued_ms) if fits else None


def _acknowledged(told: dict[str, Any]) -> tuple[bytes, int] | None:
    try:
        stream_id, head = bytes.fromhex(told["stream"]), told["acknowledged"]
    except (ValueError, LookupError, TypeError):
        return None
    return (stream_id, head) if len(stream_id) == STREAM_BYTES and type(head) is int and -1 <= head < 2**63 else None
