"""The agent as a witness of the collector's log: each newer checkpoint must follow from the one it holds.

The log's key is pinned at first use: it comes in an acknowledgement that the collector signed, whose fingerprint is
in agent.toml. From then on another key, another origin, a smaller log or one that does not begin with what is held
is an alarm. An alarm changes nothing in the agent's duty; the checkpoint held stays, beside what came instead.

A collector that was restored goes on under a new origin. It is taken only with the proof that its log names what is
held here, or a longer log, as the last it had signed; what is held and what came are kept as both sides of that, too.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger
from typing import Any

from agent.held_log import Alarm, Held, Renamed
from agent.log import line
from agent.writer import Writer
from protocols.messages import Ack
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint
from protocols.transparency.note import NoteError
from protocols.transparency.proofs import is_consistent
from protocols.transparency.succession import decode_succession, is_included

_log = getLogger(__name__)
RECEIPT_BYTES = 1024
"""One with a checkpoint may be larger, and is left out of the status; the next one comes within the minute."""
_HINT = "keep this agent's outbox, and tell somebody outside the central team: see 'emitrace-agent log'"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a checkpoint is beside the one held: nothing new, newer and consistent, or a reason for alarm.

    ``renamed``: it is the first under a new origin. ``unproven`` leaves of those held before are admitted to be lost.
    """

    newer: bool = False
    alarm: str = ""
    renamed: bool = False
    unproven: int = 0


def judge(held: Held | None, ack: Ack) -> Judged:
    """Whether the checkpoint of an acknowledgement may take the place of the one held.

    A proof from another size than the one held is no answer to what we hold: an earlier acknowledgement that comes
    late has one. It is passed over.
    """
    if held is not None and ack.log_key != held.key:
        return Judged(alarm="signed by another key than the log's")
    try:
        seen = open_checkpoint(ack.checkpoint, ack.log_key)
    except NoteError as error:
        return Judged(alarm=f"badly signed: {error.seen}")
    if held is None:
        return Judged(newer=True)
    before = held.head
    if seen.origin != before.origin:
        return Judged() if ack.base != before.size else _judge_origin(before, seen, ack)
    if ack.base != before.size or seen == before:
        return Judged()
    if seen.size < before.size:
        return Judged(alarm=f"shrunken to {seen.size} leaves")
    if not is_consistent(before.size, before.root, seen.size, seen.root, ack.consistency):
        return Judged(alarm=f"rewritten: what has {seen.size} leaves now does not begin with what was held")
    return Judged(newer=True)


def _judge_origin(before: Checkpoint, seen: Checkpoint, ack: Ack) -> Judged:
    """Whether a log under another origin is the one held, which admits what it lost."""
    proof = ack.origin
    if proof is None or not is_included(proof.record, proof.position, proof.path, seen):
        return Judged(alarm=f"another log, {seen.origin}")
    named = decode_succession(proof.record).before(before.origin)
    if named is None:
        return Judged(alarm=f"another log, {seen.origin}, that does not name {before.origin}")
    last = named.head
    if before.size > last.size or (before.size == last.size and before != last):
        return Judged(alarm=f"a new origin that admits {last.size} leaves of {before.origin}, not what was held")
    if before.size <= named.kept and not is_consistent(
        before.size, before.root, seen.size, seen.root, ack.consistency
    ):
        return Judged(alarm=f"rewritten: {seen.origin} does not begin with what was held")
    return Judged(newer=True, renamed=True, unproven=before.size - min(before.size, named.kept))


class Witness:
    """Takes checkpoints as they come.

    Parameters
    ----------
    now_ms : callable
        Wall clock. [UTC ms]
    on_news : callable
        Told what ``shown`` says after something has changed.
    """

    def __init__(self, writer: Writer, now_ms: Callable[[], int], on_news: Callable[[dict[str, Any]], None]) -> None:
        self._writer = writer
        self._now_ms = now_ms
        self._on_news = on_news
        self._receipt = -1

    async def begin(self) -> None:
        """Say what is held from before."""
        self._on_news(await self.shown())

    def keep_receipt(self, ack: Ack, sealed: bytes) -> None:
        """Show the farthest acknowledgement as it was signed: a collector that went back meets its own word in it."""
        if ack.contiguous > self._receipt and len(sealed) <= RECEIPT_BYTES:
            self._receipt = ack.contiguous
            self._on_news({"receipt": b64encode(sealed).decode()})

    async def take(self, ack: Ack) -> None:
        """Judge the checkpoint of an acknowledgement whose signature holds."""
        book = self._writer.outbox.held_log
        held = await self._writer.call(book.held)
        judged = judge(held, ack)
        if judged.alarm:
            before = b"" if held is None else held.note
            alarm = Alarm(self._now_ms(), judged.alarm, before, ack.checkpoint, ack.log_key, ack.consistency)
            if not await self._writer.call(book.raise_alarm, alarm):
                return
            size = 0 if held is None else held.head.size
            _log.error(line("log-alarm", reason=judged.alarm, held_size=size, hint=_HINT))
        elif judged.renamed and held is not None and ack.origin is not None:
            newer = Held(ack.log_key, ack.checkpoint, self._now_ms())
            change = Renamed(newer.checked_ms, judged.unproven, held.note, newer.note, ack.origin.record)
            await self._writer.call(book.go_on, newer, change)
            _log.warning(
                line("log-renamed", origin=newer.head.origin, before=held.head.origin, held_size=held.head.size,
                     unproven=judged.unproven, hint=_HINT)
            )  # fmt: skip
        elif judged.newer:
            newer = Held(ack.log_key, ack.checkpoint, self._now_ms())
            await self._writer.call(book.keep, newer)
            head = newer.head
            event = "log-pinned" if held is None else "checkpoint-checked"
            _log.info(line(event, origin=head.origin, size=head.size, root=head.root.hex()))
        else:
            return
        self._on_news(await self.shown())

    async def shown(self) -> dict[str, Any]:
        """What is held and how many alarms there were, for the status."""
        book = self._writer.outbox.held_log
        held, alarms = await self._writer.call(book.held), await self._writer.call(book.alarms)
        changes = await self._writer.call(book.changes)
        return {
            "log_checkpoint": "" if held is None else held.note.decode(),
            "log_checked_ms": 0 if held is None else held.checked_ms,
            "log_successions": len(changes),
            "log_unproven": sum(one.unproven for one in changes),
            "log_alarms": len(alarms),
            "log_alarm": alarms[-1].reason if alarms else "",
        }
