"""Beside the service: look every half minute at what holds, remember it, and tell whoever is to be told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from collector.alerts.conditions import MINUTE_MS, calibration_conditions, conditions, disk_condition
from collector.alerts.model import URGENT, Condition, Kind
from collector.alerts.news import News
from collector.alerts.ways import UNSENT, Way, is_quiet, ways_of
from collector.books import Books
from collector.calibration.overview import standings
from collector.clock import now_ms
from collector.log import line
from collector.store.alerts import Alert, note_told, untold, update_alerts

EVERY_S = 30.0
BROKER_MINUTES = 5
CALIBRATION_MS = 10 * MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
RETRY_MS = (MINUTE_MS, HOUR_MS)
"""Pause after the first failure of a way, doubled with each further one up to the second."""

log = logging.getLogger(__name__)


@dataclass
class Watch:
    """What is looked at, and who is told.

    Parameters
    ----------
    connected : callable
        Whether the broker is there now.
    """

    books: Books
    connected: Callable[[], bool]
    _away_since_ms: int | None = None
    _looked_ms: int = -1
    _due: tuple[Condition, ...] = ()
    _failed: dict[str, tuple[int, int]] = field(default_factory=dict)  # way -> failures in a row, not before [UTC ms]

    def __post_init__(self) -> None:
        self.ways = ways_of(self.books.config)

    def step(self, at_ms: int) -> None:
        """Look once and tell what is new."""
        rules = self.books.config.settings.alerts
        with self.books.database.reading() as connection:
            holding = [*conditions(connection, rules, at_ms), *self._calibration(connection, at_ms)]
        holding += self._around(at_ms)
        with self.books.database.writing() as connection:
            update_alerts(connection, holding, at_ms)
        for way in self.ways:
            if at_ms >= self._failed.get(way.name, (0, 0))[1]:
                self._tell(way, at_ms)

    def _calibration(self, connection: Connection, at_ms: int) -> tuple[Condition, ...]:
        """How instruments stand: looked at again after some minutes, for it changes by the day."""
        if not 0 <= at_ms - self._looked_ms < CALIBRATION_MS:
            books, rules = self.books, self.books.config.settings.alerts
            found = standings(connection, books.plans, books.trust, at_ms)
            self._due, self._looked_ms = tuple(calibration_conditions(found, rules)), at_ms
        return self._due

    def _around(self, at_ms: int) -> Iterator[Condition]:
        """What the books do not know: the disk and the broker."""
        yield from disk_condition(self.books.config.state_dir, self.books.config.settings.alerts)
        if self.connected():
            self._away_since_ms = None
        elif self._away_since_ms is None:
            self._away_since_ms = at_ms
        elif at_ms - self._away_since_ms >= BROKER_MINUTES * MINUTE_MS:
            yield Condition(Kind.BROKER, "", {"since_ms": self._away_since_ms})

    def _tell(self, way: Way, at_ms: int) -> None:
        rules = self.books.config.settings.alerts
        with self.books.database.reading() as connection:
            raised, ended = untold(connection, way.name, at_ms - rules.remind_hours * HOUR_MS)
        if is_quiet(rules, at_ms):
            raised, ended = _urgent(raised), _urgent(ended)
        if not raised and not ended:
            return
        link = f"{rules.link.rstrip('/')}/alerts" if rules.link else ""
        try:
            way.send(News(raised, ended, ZoneInfo(rules.zone), link, self.books.collector_id))
        except UNSENT as error:
            failures = self._failed.get(way.name, (0, 0))[0] + 1
            wait_ms = min(RETRY_MS[0] << min(failures - 1, 10), RETRY_MS[1])
            self._failed[way.name] = failures, at_ms + wait_ms
            log.error(line("alert-not-sent", way=way.name, error=error, retry_s=wait_ms // 1000))
            return
        self._failed.pop(way.name, None)
        log.info(line("alerts-sent", way=way.name, raised=len(raised), ended=len(ended)))
        with self.books.database.writing() as connection:
            note_told(connection, way.name, "raised", raised, at_ms)
            note_told(connection, way.name, "ended", ended, at_ms)


def _urgent(some: list[Alert]) -> list[Alert]:
    return [one for one in some if one.kind in URGENT]


class AlertWorker(threading.Thread):
    """Runs the watch; nothing it meets ends it."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(name="alerts", daemon=True)
        self._watch = watch
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the look in hand."""
        self._stopping.set()

    def run(self) -> None:
        """The loop; the books being away is told in the log and retried for ever."""
        while not self._stopping.wait(EVERY_S):
            try:
                self._watch.step(now_ms())
            except SQLAlchemyError as error:
                log.error(line("books-away", error=error, retry_s=EVERY_S))
