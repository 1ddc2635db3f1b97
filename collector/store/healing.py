"""Books that are behind what was signed or acknowledged: refused for reports until they are healed by resend.

A healing is opened by four things and by nothing else: that ``restore`` put a backup back; the file beside the books
that names a checkpoint they do not lead to; a checkpoint signed by our own log key, or an acknowledgement signed by our
own key, of which an agent shows more than is here. An unsigned word opens none.

While one is open, items are taken in and asked for again, but no checkpoint, seal or bundle is made: what is signed
now could contradict what was signed before. It ends by itself when every agent in service has said how far it was
acknowledged, nothing of that is missing, and the log is at least as long as the longest one signed; else by a person's
word (``collector.accepting``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select, update

from collector.store.acks import MOST_RANGES, ack_of, missing_ranges
from collector.store.agents import Agent, all_agents
from collector.store.audit import record
from collector.store.checkpoints import ORIGIN, Stored, current_origin, make_checkpoint
from collector.store.endings import endings
from collector.store.healings import Healing, current_healing
from collector.store.log import tree_size
from collector.store.losses import without_lost
from collector.store.origins import begin_origin, leads_to
from collector.store.schema import agents, healing_reports, healings, signed_heads, streams
from collector.store.upsert import upsert
from protocols.transparency.checkpoint import Checkpoint

ITSELF = ""
"""Who ended a healing that needed nobody."""
ANCHOR = "anchor"
"""Who showed a head, where no agent did: the file beside the books."""


class Cause(StrEnum):
    """What opened a healing; its words are ``healing.cause.CAUSE``."""

    RESTORED = "restored"
    ANCHOR = "anchor"
    CHECKPOINT = "checkpoint"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing of an agent's stream."""

    agent: Agent
    stream_id: bytes
    ranges: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """How many items."""
        return sum(last - first + 1 for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a healing still waits for.

    Attributes
    ----------
    silent : tuple of Agent
        In service, and not heard of since it began.
    gaps : tuple of Gap
        Items that were acknowledged, or stand before ones that are here.
    leaves : int
        How many leaves the log is shorter than the longest one signed.
    rewritten : bool
        Whether a head was signed of a size at which the log stood otherwise when it began: not gone back, changed.
    """

    silent: tuple[Agent, ...]
    gaps: tuple[Gap, ...]
    leaves: int
    rewritten: bool

    @property
    def is_nothing(self) -> bool:
        """Whether it can end by itself."""
        return not (self.silent or self.gaps or self.leaves or self.rewritten)


def begin_healing(connection: Connection, cause: Cause, at_ms: int, *, head_known: bool) -> Healing:
    """The healing that goes on; one is opened where none does.

    ``head_known``: whether the file beside the books says what was signed last, so that silence of the agents means
    that nothing was signed beyond these books.
    """
    going = current_healing(connection)
    if going is None:
        connection.execute(
            insert(healings).values(
                opened_ms=at_ms, cause=cause.value, kept=tree_size(connection), head_known=head_known
            )
        )
        going = current_healing(connection)
    if going is None:
        raise LookupError("a healing that was just opened is not there")
    return going


def note_head(
    connection: Connection, healing: Healing, source: str, head: Checkpoint, note: bytes, at_ms: int
) -> None:
    """Keep a head that we signed and the log does not lead to; of one source and origin the longest."""
    entry = upsert(connection, signed_heads).values(
        healing=healing.id, source=source, origin=head.origin, size=head.size, root=head.root, note=note, at_ms=at_ms
    )
    connection.execute(
        entry.on_conflict_do_update(
            index_elements=["healing", "source", "origin"],
            set_={name: entry.excluded[name] for name in ("size", "root", "note", "at_ms")},
            where=signed_heads.c.size < entry.excluded["size"],
        )
    )


def note_report(
    connection: Connection, healing: Healing, agent_id: str, acknowledged: tuple[bytes, int], at_ms: int
) -> None:
    """Keep what an agent says was acknowledged."""
    entry = upsert(connection, healing_reports).values(
        healing=healing.id, agent_id=agent_id, stream_id=acknowledged[0], head=acknowledged[1], at_ms=at_ms
    )
    connection.execute(
        entry.on_conflict_do_update(
            index_elements=["healing", "agent_id"],
            set_={name: entry.excluded[name] for name in ("stream_id", "head", "at_ms")},
        )
    )


def lacking(connection: Connection, healing: Healing | None) -> Lacking:
    """What is missing; without a healing only items that stand before ones that are here."""
    ended = endings(connection)
    replaced = set(connection.scalars(select(agents.c.replaces).where(agents.c.replaces.is_not(None))))
    serving = [one for one in all_agents(connection) if one.agent_id not in ended and one.agent_id not in replaced]
    if healing is None:
        return Lacking((), tuple(_gaps(connection, serving, {})), 0, rewritten=False)
    rows = connection.execute(select(healing_reports).where(healing_reports.c.healing == healing.id))
    told = {row.agent_id: (row.stream_id, row.head) for row in rows}
    heads = known_heads(connection, healing)
    longest = max((head.size for head in heads), default=0)
    return Lacking(
        tuple(one for one in serving if one.agent_id not in told),
        tuple(_gaps(connection, serving, told)),
        max(longest - tree_size(connection), 0),
        any(head.size <= healing.kept for head in heads),
    )


def known_heads(connection: Connection, healing: Healing) -> list[Checkpoint]:
    """The heads that were signed and the log does not lead to."""
    rows = connection.execute(select(signed_heads).where(signed_heads.c.healing == healing.id))
    heads = (Checkpoint(row.origin, row.size, row.root) for row in rows)
    return [head for head in heads if not leads_to(connection, head)]


def end_healing(
    connection: Connection, log_key: Ed25519PrivateKey, healing: Healing, at_ms: int, by: str = ITSELF, reason: str = ""
) -> Stored | None:
    """End it; where something was signed beyond these books, or may have been, the log goes on under a new origin.

    Returns
    -------
    Stored or None
        The first checkpoint under the new origin; None where the old one goes on.
    """
    heads = known_heads(connection, healing)
    connection.execute(
        update(healings).where(healings.c.id == healing.id).values(ended_ms=at_ms, ended_by=by, reason=reason)
    )
    record(connection, "healing-ended", current_origin(connection).name, at_ms, detail=reason)
    if healing.head_known and not heads:
        return None
    begin_origin(connection, healing.kept, heads, at_ms)
    return make_checkpoint(connection, log_key, at_ms, ORIGIN)


def _gaps(connection: Connection, serving: list[Agent], told: dict[str, tuple[bytes, int]]) -> Any:
    for agent in serving:
        own, head = told.get(agent.agent_id, (b"", -1))
        known = set(connection.scalars(select(streams.c.stream_id).where(streams.c.agent_id == agent.agent_id)))
        for stream_id in sorted(known | ({own} if head >= 0 else set())):
            ack = ack_of(connection, agent.agent_id, stream_id)
            ranges = missing_ranges(ack, MOST_RANGES, head if stream_id == own else -1)
            left = without_lost(connection, agent.agent_id, stream_id, ranges)
            if left:
                yield Gap(agent, stream_id, left)
