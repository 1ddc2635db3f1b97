"""The ingest loop: a small group of messages, one transaction, then PUBACK, then the signed acknowledgement."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, update
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, SQLAlchemyError

from collector.books import Books
from collector.clock import now_ms
from collector.ingest.believe import Refused, believe_all
from collector.ingest.broker import Broker, Message
from collector.ingest.gaps import GapKeeper
from collector.ingest.healing import HealingKeeper
from collector.ingest.notices import Notices
from collector.ingest.pushing import PushKeeper
from collector.ingest.signing import LogSigner
from collector.ingest.statuses import Status, newest_statuses
from collector.ingest.witnesses import Witnesses
from collector.log import line
from collector.metrics import Metrics
from collector.store import quarantine
from collector.store.acks import MOST_RANGES, ack_of, missing_ranges
from collector.store.agents import all_agents
from collector.store.placing import Outcome, Placer, stored_reader
from collector.store.pushes import waiting_pushes
from collector.store.rows import Arrival
from collector.store.runs import NoRun, place_run, runs_of
from collector.store.schema import agents, streams
from protocols.messages import Ack, Resend
from protocols.wire import topics
from protocols.wire.codec import seal_ack, seal_notice, seal_push, seal_resend
from protocols.wire.errors import Reason

GROUP = 200
WAIT_S = 0.5
STORE_RETRY_S = (0.5, 30.0)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """What became of a group: items by outcome, acknowledgements to send, and what registered agents say."""

    counts: Mapping[Outcome, int]
    acks: Mapping[str, Sequence[Ack]]
    statuses: Mapping[str, Status]


class IngestWorker(threading.Thread):
    """Takes messages from the broker's queue into the books; ``committed`` is set after every commit."""

    def __init__(self, books: Books, broker: Broker, metrics: Metrics) -> None:
        super().__init__(name="ingest", daemon=True)
        self._books = books
        self._broker = broker
        self._metrics = metrics
        self._stopping = threading.Event()
        self._gaps = GapKeeper(time.monotonic)
        self._pushes = PushKeeper(time.monotonic)
        self._notices = Notices(books, time.monotonic, now_ms)
        self._signer = LogSigner(books, time.monotonic, now_ms)
        self._witnesses = Witnesses(books, now_ms)
        self._healing = HealingKeeper(books, time.monotonic, now_ms)
        self._heads: dict[str, tuple[bytes, int]] = {}  # agent -> stream, last sequence it says was acknowledged
        self.committed = threading.Event()

    def stop(self) -> None:
        """End after the group in hand."""
        self._stopping.set()
        self._broker.queue.put(None)

    def run(self) -> None:
        """The loop; the books being away is retried for ever, what is in hand is not acknowledged meanwhile."""
        self._note_known_gaps()
        while not self._stopping.is_set():
            group = self._next_group()
            if group and not self._commit_patiently(group):
                return
            self._ask_for_missing()
            self._push_plans()
            self._notify()
            self._healing.look()
            self._signer.look()

    def _next_group(self) -> list[Message]:
        try:
            first = self._broker.queue.get(timeout=WAIT_S)
        except queue.Empty:
            return []
        group = [] if first is None else [first]
        while len(group) < GROUP:
            try:
                message = self._broker.queue.get_nowait()
            except queue.Empty:
                break
            if message is not None:
                group.append(message)
        return group

    def _commit_patiently(self, group: Sequence[Message]) -> bool:
        wait_s = STORE_RETRY_S[0]
        while True:
            try:
                taken = take_group(self._books, [(m.topic, m.payload) for m in group], now_ms())
                break
            except SQLAlchemyError as error:
                log.error(line("books-away", error=error, retry_s=wait_s))
                if self._stopping.wait(wait_s):
                    return False
                wait_s = min(2 * wait_s, STORE_RETRY_S[1])
        for message in group:
            self._broker.acknowledge(message)
        for agent_id, acks in taken.acks.items():
            for ack in acks:
                dressed = self._witnesses.dress(agent_id, ack)
                self._broker.publish(topics.ack(agent_id), seal_ack(dressed, self._books.key))
                self._note_gaps(agent_id, ack)
        self._tell(group, taken.counts)
        try:
            self._note_statuses(taken.statuses)
        except SQLAlchemyError as error:  # an agent says the same again within the minute
            log.error(line("books-away", error=error))
        self.committed.set()
        return True

    def _note_known_gaps(self) -> None:
        with self._books.database.reading() as connection:
            for row in connection.execute(streams.select()):
                self._note_gaps(row.agent_id, ack_of(connection, row.agent_id, row.stream_id))

    def _tell(self, group: Sequence[Message], counts: Mapping[Outcome, int]) -> None:
        now_s = time.monotonic()
        waited_s = [now_s - message.arrived_s for message in group if topics.parse_status(message.topic) is None]
        self._metrics.ingested({outcome.value: count for outcome, count in counts.items()}, waited_s)

    def _note_statuses(self, statuses: Mapping[str, Status]) -> None:
        """What agents hold of the log; where more was acknowledged than is here, ask for the rest.

        A collector restored from a backup has acknowledged more than it holds; only the agent still knows. Its word
        is unsigned, so this decides nothing but what to ask for; what comes is judged as ever.
        """
        for agent_id, status in statuses.items():
            self._witnesses.note(agent_id, status)
        self._notices.note(statuses)
        self._healing.note(statuses)
        stated = {agent_id: status.acknowledged for agent_id, status in statuses.items()}
        with self._books.database.reading() as connection:
            for agent_id, head in stated.items():
                if head is not None and self._heads.get(agent_id) != head:
                    ack = ack_of(connection, agent_id, head[0])
                    self._heads[agent_id] = head
                    self._note_gaps(agent_id, ack)

    def _note_gaps(self, agent_id: str, ack: Ack) -> None:
        stream_id, head = self._heads.get(agent_id, (b"", -1))
        known = head if stream_id == ack.stream_id else -1
        self._gaps.note((agent_id, ack.stream_id), missing_ranges(ack, MOST_RANGES, known))

    def _ask_for_missing(self) -> None:
        if not self._broker.connected:
            return
        for agent_id, stream_id, ranges in self._gaps.due():
            log.info(line("resend-asked", agent=agent_id[:12], stream=stream_id.hex()[:8], ranges=ranges))
            self._broker.publish(topics.resend(agent_id), seal_resend(Resend(stream_id, ranges), self._books.key))

    def _push_plans(self) -> None:
        if not self._broker.connected or not self._pushes.looks():
            return
        try:
            with self._books.database.reading() as connection:
                waiting = waiting_pushes(connection)
        except SQLAlchemyError as error:
            log.error(line("books-away", error=error))
            return
        for agent_id, push in self._pushes.due(waiting).items():
            log.info(line("plan-pushed", agent=agent_id[:12], replaces=push.replaces.hex()[:12]))
            self._broker.publish(topics.plan_push(agent_id), seal_push(push, self._books.key))

    def _notify(self) -> None:
        if not self._broker.connected:
            return
        for agent_id, notice in self._notices.due().items():
            log.info(line("notice-sent", agent=agent_id[:12], instruments=len(notice.instruments)))
            self._broker.publish(topics.notice(agent_id), seal_notice(notice, self._books.key))


def commit_group(books: Books, messages: Sequence[tuple[str, bytes]], at_ms: int) -> dict[str, list[Ack]]:
    """Take (topic, payload) messages into the books; the acknowledgements to send after it."""
    return {agent_id: list(acks) for agent_id, acks in take_group(books, messages, at_ms).acks.items()}


def take_group(books: Books, messages: Sequence[tuple[str, bytes]], at_ms: int) -> Group:
    """Take (topic, payload) messages into the books in one transaction.

    A message that cannot be believed goes to the quarantine; one that breaks the program itself does so too,
    alone, and the rest of the group is committed.
    """
    with books.database.reading() as connection:
        known = {agent.agent_id: agent for agent in all_agents(connection)}
    statuses = newest_statuses(messages, known)
    believed = believe_all((one for one in messages if not one[0].endswith("/status")), at_ms, known)
    counts = dict.fromkeys(Outcome, 0)
    with books.database.writing() as connection:
        placer = Placer(connection, books.plans, stored_reader(known))
        for one in believed:
            if isinstance(one, Refused):
                counts[_take(connection, placer, one)] += 1
        for run in runs_of([one for one in believed if isinstance(one, Arrival)]):
            for outcome in _take_run(connection, placer, run):
                counts[outcome] += 1
        for agent_id, status in statuses.items():  # unsigned: for the pages
            stated = update(agents).where(agents.c.agent_id == agent_id)
            connection.execute(stated.values(status=status.text, last_seen_ms=at_ms))
        acks = placer.acks()
    if believed:
        log.info(line("ingested", **{outcome.value: count for outcome, count in counts.items()}))
    return Group(counts, acks, statuses)


def _take_run(connection: Connection, placer: Placer, run: Sequence[Arrival]) -> list[Outcome]:
    """Place a run at once, or its items one by one where that cannot be."""
    if len(run) > 1:
        try:
            with connection.begin_nested():
                place_run(placer, run)
        except (OperationalError, InterfaceError, InternalError):
            raise  # the books are away: the whole group is tried again
        except NoRun:
            pass
        except Exception:
            log.exception(line("run-failed", items=len(run)))  # which of them breaks the program shows one by one
        else:
            return [Outcome.STORED] * len(run)
    return [_take(connection, placer, one) for one in run]


def _take(connection: Connection, placer: Placer, one: Arrival | Refused) -> Outcome:
    if isinstance(one, Refused):
        quarantine.keep(connection, one.topic, one.agent_id, one.reason.value, one.detail, one.data, one.at_ms)
        return Outcome.REFUSED
    try:
        with connection.begin_nested():
            outcome = placer.place(one)
    except (OperationalError, InterfaceError, InternalError):
        raise  # the books are away: the whole group is tried again
    except Exception as error:
        log.exception(line("ingest-failed", topic=one.topic, sequence=one.item.sequence))
        detail = f"the collector could not take it in: {type(error).__name__}: {error}"
        quarantine.keep(connection, one.topic, one.agent_id, Reason.SCHEMA.value, detail, one.data, one.at_ms)
        return Outcome.REFUSED
    connection.execute(update(agents).where(agents.c.agent_id == one.agent_id).values(last_seen_ms=one.at_ms))
    return outcome
