"""How the agent goes, told: to the log, the service manager, the status file and the broker, when something changes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from logging import getLogger
from typing import Any

from agent.clock import Machine
from agent.config import Config
from agent.health import Health
from agent.log import line
from agent.notify import tell_manager
from agent.outbox import DAY_MS, Standing
from agent.uplink import Uplink
from agent.writer import Writer

HOUSEKEEPING_S = 3_600.0
STATUS_FILE_S = 60.0
FIRST_STATUS_S = 5.0
"""In the first minute somebody stands beside the meters and wants to see them answer."""
"""How often the status file is written at least; each state change writes it too."""

_log = getLogger(__name__)


class Vitals:
    """What is known of the running program, and who is told.

    Attributes
    ----------
    stream_id : bytes
        The own stream's id; empty before there is one.
    uplink : Uplink or None
        Woken where there is something to publish.
    disk_problem : callable
        Why the disk refuses the journal now; empty where it does not.
    clock_apart : bool
        Whether the system clock was moved away from the time line without being synchronised.
    """

    def __init__(self, config: Config, writer: Writer, machine: Machine, health: Health) -> None:
        self.health = health
        self.stream_id = b""
        self.uplink: Uplink | None = None
        self.disk_problem: Callable[[], str] = str
        self.clock_apart = False
        self._config = config
        self._writer = writer
        self._machine = machine

    async def tell(self, phase: str, note: str = "") -> None:
        """The program is in another phase."""
        self.health.phase, self.health.note = phase, note
        _log.info(line(phase, note=note) if note else phase)
        tell_manager(f"STATUS={phase}: {note}" if note else f"STATUS={phase}")
        await self.publish()

    async def publish(self) -> None:
        """Look at the outbox and write the status anew."""
        outbox = self._writer.outbox
        if self.health.phase == "running":
            problem = self.disk_problem()
            apart = "the system clock was moved and is not synchronised; readings keep the time they had"
            disk = f"the disk refuses: {problem}; readings wait in memory" if problem else ""
            alarm = f"evidence log: {self.health.log_alarm}; see emitrace-agent log" if self.health.log_alarm else ""
            self.health.note = disk or (apart if self.clock_apart else alarm)
        backlog = await self._writer.call(outbox.backlog)
        self.health.set_aside = await self._writer.call(outbox.results_set_aside)
        self.health.backlog_items, self.health.backlog_bytes = backlog.items, backlog.size
        self.health.acknowledged = backlog.acknowledged
        fill = await self._writer.call(outbox.fill)
        self.health.outbox_bytes, self.health.outbox_max_bytes = fill.size, fill.cap
        self.health.oldest_waiting_ms, self.health.full_in_s = fill.oldest_ms, fill.full_in_s
        with suppress(OSError):
            self.health.write(self._config.state_dir)
        if self.uplink is not None:
            self.uplink.wake_status()

    def on_connection(self, connected: bool) -> None:
        """The session with the broker stands, or does not."""
        self.health.broker = "connected" if connected else "disconnected"

    def on_log(self, held: dict[str, Any]) -> None:
        """What is held of the collector's log now, and what spoke against it."""
        for name, value in held.items():
            setattr(self.health, name, value)
        if self.uplink is not None:
            self.uplink.wake_status()

    def on_dead(self, dead: dict[str, int]) -> None:
        """These units, by ``bus/unit``, are taken for dead since when. [UTC ms]"""
        before, self.health.dead = self.health.dead, dead
        for unit in sorted(dead.keys() - before.keys()):
            hint = "check its power, wiring and unit id; it is asked now and then"
            _log.warning(line("unit-dead", unit=unit, hint=hint))
        for unit in sorted(before.keys() - dead.keys()):
            _log.info(line("unit-back", unit=unit, dead_since_ms=before[unit]))
        if self.uplink is not None:
            self.uplink.wake_status()

    def on_watch(self, until_ms: int) -> None:
        """Somebody watches until then; 0 when nobody does any more. [UTC ms]"""
        if bool(until_ms) != bool(self.health.watched_until_ms):
            _log.info(line("watched" if until_ms else "watched-no-more"))
        self.health.watched_until_ms = until_ms
        if self.uplink is not None:
            self.uplink.wake_status()

    def stands(self, standing: Standing | None) -> None:
        """The stream has come further; nothing where there is none yet."""
        if standing is None:
            return
        tail = standing.tail
        self.stream_id = tail.stream_id
        health = self.health
        health.stream, health.head = tail.stream_id.hex(), tail.previous.hex()
        health.sequence, health.span_end_ms = tail.sequence - 1, tail.span_end_ms
        if self.uplink is not None:
            self.uplink.wake()
            self.uplink.wake_status()

    async def housekeeping(self) -> None:
        """Now and then: the status file, and items whose retention has passed."""
        waited_s, started_s = HOUSEKEEPING_S, 0.0
        while True:
            try:
                if waited_s >= HOUSEKEEPING_S:
                    waited_s = 0.0
                    days = self._config.settings.retention.acknowledged_days
                    before_ms = self._machine.read().utc_ms - days * DAY_MS
                    gone = await self._writer.call(self._writer.outbox.evict, before_ms)
                    if gone:
                        _log.info(line("evicted", items=gone, acknowledged_days=days))
                    while await self._writer.call(self._writer.outbox.shrink):
                        pass
                await self.publish()
            except sqlite3.Error as error:
                _log.error(line("housekeeping-failed", error=error))
            pause_s = STATUS_FILE_S if started_s >= STATUS_FILE_S else FIRST_STATUS_S
            await asyncio.sleep(pause_s)
            waited_s, started_s = waited_s + pause_s, started_s + pause_s
