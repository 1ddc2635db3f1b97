"""What agents are told of their instruments' calibration, for the technician beside them.

An agent says in its status which notice it holds: it gets another when something else is known by now, and the same
again while it does not hold it. A notice changes no figure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from calibration.status import Timeline
from collector.books import Books
from collector.ingest.statuses import Status
from collector.log import line
from collector.store.plans import newest_plan
from protocols.messages import Notice, Noticed

LOOK_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of an agent's instruments; the facility's zone."""

    zone: str
    instruments: tuple[Noticed, ...]


class Notices:
    """Which notice goes out when; ``clock`` is monotonic [s], ``now_ms`` the wall's. [UTC ms]"""

    def __init__(self, books: Books, clock: Callable[[], float], now_ms: Callable[[], int]) -> None:
        self._books = books
        self._clock = clock
        self._now_ms = now_ms
        self._looked_s = float("-inf")
        self._held: dict[str, tuple[bytes, int]] = {}
        self._fresh: set[str] = set()
        self._known: dict[str, _Told | None] = {}
        self._issued: dict[str, Notice] = {}

    def note(self, statuses: Mapping[str, Status]) -> None:
        """Which notice each agent holds; one that says nothing of notices gets none."""
        for agent_id, status in statuses.items():
            if status.notice is not None and self._held.get(agent_id) != status.notice:
                self._held[agent_id] = status.notice
                self._fresh.add(agent_id)

    def due(self) -> dict[str, Notice]:
        """What goes out now, by agent."""
        now_s = self._clock()
        asked = self._fresh
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s, asked = now_s, set(self._held)
            self._known = {}
        self._fresh = set()
        try:
            self._learn(asked - self._known.keys())
        except SQLAlchemyError as error:
            log.error(line("books-away", error=error))
            self._fresh = asked
            return {}
        return {agent_id: notice for agent_id in sorted(asked) if (notice := self._wanted(agent_id)) is not None}

    def _wanted(self, agent_id: str) -> Notice | None:
        """The notice an agent should hold and does not."""
        told, (stream_id, held_ms) = self._known[agent_id], self._held[agent_id]
        if told is None:
            return None
        notice = self._issued.get(agent_id)
        stands = notice is not None and held_ms <= notice.issued_ms
        if notice is None or not stands or notice != Notice(stream_id, notice.issued_ms, told.zone, told.instruments):
            issued_ms = max(self._now_ms(), held_ms + 1, 0 if notice is None else notice.issued_ms + 1)
            notice = self._issued[agent_id] = Notice(stream_id, issued_ms, told.zone, told.instruments)
        return None if held_ms == notice.issued_ms else notice

    def _learn(self, agents: set[str]) -> None:
        if not agents:
            return
        at_ms, book = self._now_ms(), self._books.plans
        with self._books.database.reading() as connection:
            lives = self._books.trust.lives(connection)
            for agent_id in agents:
                plan = newest_plan(connection, book, agent_id)
                self._known[agent_id] = None
                if plan is not None:
                    zone = plan.plan.facility.time_zone
                    instruments = sorted(plan.plan.instruments, key=lambda one: one.id)
                    noticed = (
                        _noticed(one.id, one.serial, lives.of_planned(one, zone), at_ms) for one in instruments
                    )
                    self._known[agent_id] = _Told(zone, tuple(noticed))


def _noticed(instrument: str, serial: str, life: Timeline, at_ms: int) -> Noticed:
    return Noticed(instrument, serial, life.at(at_ms).state.value, life.valid_until(at_ms) or 0)
