"""A person's word that what is missing is lost: written down with its reason, and the streams go on behind it."""

from __future__ import annotations

from dataclasses import dataclass

from collector.books import Books
from collector.store.agents import all_agents
from collector.store.audit import record
from collector.store.checkpoints import Stored
from collector.store.healing import Lacking, end_healing, lacking
from collector.store.healings import Healing, current_healing
from collector.store.losses import keep_loss
from collector.store.placing import Placer, stored_reader
from protocols.errors import EmitraceError
from protocols.transparency.loss import LONGEST_AUTHOR, Loss
from protocols.wire.limits import TEXT


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted; the healing that ended with it, and the first checkpoint under a new origin, if any."""

    lacking: Lacking
    healing: Healing | None
    renamed: Stored | None


def look(books: Books) -> tuple[Healing | None, Lacking]:
    """Whether the books are being healed, and what is missing."""
    with books.database.reading() as connection:
        healing = current_healing(connection)
        return healing, lacking(connection, healing)


def accept_loss(books: Books, by: str, reason: str, at_ms: int) -> Accepted:
    """Write down as lost what is missing now, let the streams go on, and end a healing.

    What comes of it later is refused, once an item behind it is here; so let agents send what they hold first.

    Raises
    ------
    EmitraceError
        No reason or author is given, or nothing is missing.
    """
    author, why = by.strip()[:LONGEST_AUTHOR], reason.strip()[:TEXT]
    if not author or not why:
        seen = "no reason is given" if author else "no author is given"
        raise EmitraceError("accept-loss", seen, "Say who and why, for those who read it in five years.")
    with books.database.writing() as connection:
        healing = current_healing(connection)
        missing = lacking(connection, healing)
        if healing is None and missing.is_nothing:
            raise EmitraceError("accept-loss", "nothing is missing", "Nothing was changed.")
        known = {agent.agent_id: agent for agent in all_agents(connection)}
        placer = Placer(connection, books.plans, stored_reader(known))
        for gap in missing.gaps:
            for first, last in gap.ranges:
                loss = Loss(gap.agent.agent_id, gap.stream_id, first, last, author, why, at_ms)
                keep_loss(connection, loss)
                record(connection, "loss-accepted", loss.leaf_id, at_ms, detail=f"{author}: {why}")
            placer.go_on(gap.agent.agent_id, gap.stream_id)
        renamed = None
        if healing is not None:
            silent = ", ".join(one.name for one in missing.silent)
            said = f"{why} (not heard of: {silent})" if silent else why
            renamed = end_healing(connection, books.log_key, healing, at_ms, author, said)
    books.anchor.hold(renamed)
    return Accepted(missing, healing, renamed)
