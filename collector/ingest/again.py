"""An object of the quarantine taken in again as any other: nothing is forced, signature and chain decide."""

from __future__ import annotations

from sqlalchemy import select

from collector.books import Books
from collector.ingest.worker import take_group
from collector.store.agents import all_agents
from collector.store.decisions import checked_reason, read_entry, record_decision
from collector.store.placing import Outcome, Placer, stored_reader
from collector.store.schema import items
from protocols.errors import EmitraceError
from protocols.wire import topics
from protocols.wire.codec import item_kind
from protocols.wire.cose import open_sealed
from protocols.wire.errors import Reason

AGAIN = frozenset(
    {Reason.UNKNOWN_KEY, Reason.PLAN_UNKNOWN, Reason.PLAN_INVALID, Reason.CHAIN, Reason.SCHEMA, Reason.OVERLAP,
     Reason.UNSUPPORTED_VERSION, Reason.STREAM_UNKNOWN}
)  # fmt: skip
"""Reasons that what came later (an enrolment, a plan, a newer program) can remove; bytes do not mend by waiting."""


def may_be_tried(reason: str) -> bool:
    """Whether trying again can give another answer."""
    return reason in {one.value for one in AGAIN}


def try_again(books: Books, entry: int, by: str, reason: str, at_ms: int) -> Outcome:
    """Take an object in again, and keep who asked for it, why, and what came of it.

    Raises
    ------
    EmitraceError
        There is no such object, no reason is given, or its bytes can never be believed.
    """
    why = checked_reason(reason)
    with books.database.reading() as connection:
        found = read_entry(connection, entry)
        if found is None:
            raise EmitraceError(f"quarantine {entry}", "is not here", "Choose one from the list.")
        one, digest, data = found
        refused = connection.scalar(
            select(items.c.id).where(
                items.c.agent_id == one.agent_id, items.c.digest == digest, items.c.state == "refused"
            )
        )
        known = {agent.agent_id: agent for agent in all_agents(connection)}
    if not may_be_tried(one.reason) or len(data) < one.size:
        raise EmitraceError(
            f"quarantine {entry}", f"was refused as {one.reason}, which nothing that came later can change",
            "Reject it; its bytes stay.",
        )  # fmt: skip
    if refused is not None:
        with books.database.writing() as connection:
            outcome = Placer(connection, books.plans, stored_reader(known)).read_again(refused, at_ms)
    else:
        topic = topics.up(one.agent_id, item_kind(open_sealed(data)))
        counts = take_group(books, [(topic, data)], at_ms).counts
        outcome = next(outcome for outcome, count in counts.items() if count)
    with books.database.writing() as connection:
        record_decision(connection, entry, "accept", outcome.value, by, why, at_ms)
    return outcome
