"""Off the ingest transaction: fold every batch's raw words again, compare, and keep the hours up to date."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import SQLAlchemyError

from collector.books import Books
from collector.clock import now_ms
from collector.log import line
from collector.store.agents import Agent, all_agents
from collector.store.comparisons import dropped_between, keep_comparison, predecessor, uncompared
from collector.store.refresh import refresh_hours
from protocols.errors import EmitraceError
from protocols.plan.bound import BoundPlan
from protocols.records import Batch, FoldState
from protocols.windows.continuity import discontinuity, implausible, invented, leap
from protocols.windows.recompute import recompute

GROUP = 50
HOURS_EVERY_S = 2.0
PAUSE_S = 5.0
UNREADABLE = (EmitraceError, ValueError, ArithmeticError, LookupError, TypeError, MemoryError)
"""What a batch may do to the program that reads it again; none of it may end the ledger."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Closed:
    """What a stream's last compared batch yielded."""

    sequence: int
    plan: bytes
    state: FoldState | None


@dataclass(slots=True)
class Recomputer:
    """Compares batches in the order they came into the books."""

    books: Books
    _closed: dict[tuple[str, bytes], _Closed] = field(default_factory=dict)
    _agents: dict[str, Agent] = field(default_factory=dict)

    def step(self) -> int:
        """Compare up to a group of batches; how many were."""
        with self.books.database.reading() as connection:
            rows = uncompared(connection, GROUP)
            self._agents = {agent.agent_id: agent for agent in all_agents(connection)} if rows else {}
            verdicts = [(row, self._compare(connection, row)) for row in rows]
        if verdicts:
            with self.books.database.writing() as connection:
                for row, differences in verdicts:
                    keep_comparison(connection, row.id, row.agent_id, differences, now_ms())
            different = sum(bool(differences) for _, differences in verdicts)
            log.info(line("recomputed", batches=len(verdicts), different=different))
        return len(verdicts)

    def _compare(self, connection: Connection, row: Row[Any]) -> list[str]:
        stream = (row.agent_id, row.stream_id)
        try:
            batch, plan = self._open(connection, row)
            differences, state = recompute(plan, batch)
            differences = [*differences, *self._continuity(connection, row, batch, plan)]
        except UNREADABLE as error:
            self._closed.pop(stream, None)
            return [f"cannot be recomputed: {error}"]
        self._closed[stream] = _Closed(row.sequence, batch.plan, state)
        return differences

    def _open(self, connection: Connection, row: Row[Any]) -> tuple[Batch, BoundPlan]:
        agent = self._agents.get(row.agent_id)
        if agent is None:
            raise ValueError(f"agent {row.agent_id[:12]} is not registered any more")
        batch = agent.read(row.bytes)
        if not isinstance(batch, Batch):
            raise TypeError(f"item {row.sequence} is not a batch")
        plan = self.books.plans.of(connection, row.agent_id, batch.plan)
        if plan is None:
            raise ValueError(f"plan {batch.plan.hex()} is not known")
        return batch, plan

    def _continuity(self, connection: Connection, row: Row[Any], batch: Batch, plan: BoundPlan) -> list[str]:
        """Opening state and span must continue what the batch before yielded; across a tombstone, be possible."""
        before = self._before(connection, row)
        following = 0 if before is None else before.sequence + 1
        dropped = dropped_between(connection, row.agent_id, row.stream_id, following, row.sequence - 1)
        if before is None:
            broken = implausible(batch.opening, plan) if dropped else invented(batch, plan)
            return [broken] if broken else []
        old = self.books.plans.of(connection, row.agent_id, before.plan)
        if before.state is None or old is None:
            return [f"batch {before.sequence} before it does not fold, so its opening state cannot be checked"]
        if dropped:
            broken = implausible(batch.opening, plan) or leap(before.state, old, batch, plan)
        else:
            broken = discontinuity(before.state, old, batch, plan)
        return [f"{broken} (batch {before.sequence})"] if broken else []

    def _before(self, connection: Connection, row: Row[Any]) -> _Closed | None:
        known = self._closed.get((row.agent_id, row.stream_id))
        earlier = predecessor(connection, row.agent_id, row.stream_id, row.sequence)
        if earlier is None:
            return None
        if known is not None and known.sequence == earlier.sequence:
            return known
        try:
            batch, plan = self._open(connection, earlier)
            return _Closed(earlier.sequence, batch.plan, recompute(plan, batch)[1])
        except UNREADABLE as error:
            log.warning(line("recompute-predecessor", sequence=earlier.sequence, seen=error))
            return _Closed(earlier.sequence, earlier.plan, None)


class LedgerWorker(threading.Thread):
    """Runs the recomputation and keeps the hours, woken by commits."""

    def __init__(self, books: Books, wake: threading.Event) -> None:
        super().__init__(name="ledger", daemon=True)
        self._books = books
        self._wake = wake
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the group in hand."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """The loop; the books being away is retried for ever."""
        recomputer = Recomputer(self._books)
        rule = self._books.hour_rule
        hours_due_s = 0.0
        while not self._stopping.is_set():
            try:
                worked = recomputer.step()
                if time.monotonic() >= hours_due_s:
                    refresh_hours(self._books.database, self._books.plans, rule, most=200)
                    hours_due_s = time.monotonic() + HOURS_EVERY_S
            except SQLAlchemyError as error:
                log.error(line("books-away", error=error, retry_s=PAUSE_S))
                self._stopping.wait(PAUSE_S)
                continue
            if not worked:
                self._wake.wait(HOURS_EVERY_S)
                self._wake.clear()
