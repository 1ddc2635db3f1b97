"""What nobody holds any more is written down as lost, in the log itself, so that the stream can go on behind it.

The leaf of a loss, of kind ``lost``, names stream and range in its id, and its record's digest: who says so, when and
why. The first item behind the range names the digest of the last lost one, so the chain goes on from the agent's own
signed word; what was in the range is nobody's word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.wire import cbor
from protocols.wire.errors import Reason, WireError
from protocols.wire.fields import array, blob, text, uint
from protocols.wire.items import STREAM_BYTES
from protocols.wire.limits import SEQUENCE, TEXT, TIME_MS

KIND = "lost"
"""Of the leaf."""
VERSION = 1
LONGEST_AUTHOR = 128
RECORD_BYTES = 32 * 1024
_ID = re.compile(r"([0-9a-f]{64})/([0-9a-f]{32})/(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Loss:
    """Items ``first`` to ``last`` of a stream that nobody holds, as ``author`` said at ``at_ms``. [UTC ms]"""

    agent_id: str
    stream_id: bytes
    first: int
    last: int
    author: str
    reason: str
    at_ms: int

    @property
    def leaf_id(self) -> str:
        """Its id in the log."""
        return f"{self.agent_id}/{self.stream_id.hex()}/{self.first}-{self.last}"


def encode_loss(loss: Loss) -> bytes:
    """Its record: deterministic CBOR [version, agent, stream, first, last, author, reason, time]."""
    return cbor.encode([
        VERSION, bytes.fromhex(loss.agent_id), loss.stream_id, loss.first, loss.last, loss.author, loss.reason,
        loss.at_ms,
    ])  # fmt: skip


def decode_loss(data: bytes) -> Loss:
    """The loss in a record; WireError where there is none."""
    if len(data) > RECORD_BYTES:
        raise WireError(Reason.SCHEMA, "loss record", f"{len(data)} bytes, at most {RECORD_BYTES} are allowed")
    version, agent, stream, first, last, author, reason, at_ms = array(
        cbor.decode(data, max_depth=1), "loss record", 8, 8
    )
    uint(version, "loss record.version", VERSION + 1, VERSION)
    start = uint(first, "loss record.first", SEQUENCE)
    return Loss(
        blob(agent, "loss record.agent", 32, 32).hex(),
        blob(stream, "loss record.stream", STREAM_BYTES, STREAM_BYTES),
        start,
        uint(last, "loss record.last", SEQUENCE, start),
        text(author, "loss record.author", LONGEST_AUTHOR),
        text(reason, "loss record.reason", TEXT),
        uint(at_ms, "loss record.at_ms", TIME_MS),
    )


def range_of(leaf_id: str) -> tuple[str, int, int] | None:
    """(``agent/stream``, first, last) of a loss by its leaf's id; None where it is none."""
    found = _ID.fullmatch(leaf_id)
    if found is None:
        return None
    first, last = int(found[3]), int(found[4])
    return (f"{found[1]}/{found[2]}", first, last) if first <= last < SEQUENCE else None
