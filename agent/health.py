"""How the agent goes: gathered while it runs, written to ``status.json`` and the broker. Never evidence."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.records import ClockState, fate_of, fate_text

FILE = "status.json"


@dataclass(slots=True)
class Health:
    """The latest known, as it is shown; ``phase`` is one of starting, waiting, running, stopping, stopped.

    ``buses`` and ``units`` count the fates of slots since the program started, by bus and by ``bus/unit``;
    ``unsupported`` are points whose registers their device does not have;
    ``dead`` are the units taken for dead, by ``bus/unit``, and since when [UTC ms];
    every item up to ``acknowledged`` is committed at the collector: one restored from a backup asks for what it lacks;
    ``receipt`` is its acknowledgement of the most, as it signed it (base64);
    ``log_checkpoint`` is the newest one of the collector's evidence log that was checked, signed note and all, and
    ``log_alarm`` the last thing that spoke against it; ``log_unproven`` leaves were lost when it took a new origin;
    ``notice_ms`` is when the notice held of the instruments' calibration was issued;
    ``set_aside`` are raw results that no batch could hold; ``watched_until_ms`` is 0 while nobody watches.
    ``outbox_bytes`` are its files on the disk, of at most ``outbox_max_bytes``; ``oldest_waiting_ms`` is the begin of
    the oldest span without an acknowledgement, ``full_in_s`` the time until waiting batches would have to go if nobody
    took any: both None where there is nothing to tell from.
    """

    agent_id: str
    software: str
    phase: str = "starting"
    note: str = ""
    stream: str = ""
    sequence: int = -1
    head: str = ""
    span_end_ms: int = 0
    plan: str = ""
    plan_version: str = ""
    clock: str = ClockState.UNSET.name.lower()
    offset_ms: int = 0
    broker: str = "disconnected"
    last_poll_ms: int = 0
    backlog_items: int = 0
    backlog_bytes: int = 0
    acknowledged: int = -1
    receipt: str = ""
    outbox_bytes: int = 0
    outbox_max_bytes: int = 0
    oldest_waiting_ms: int | None = None
    full_in_s: int | None = None
    set_aside: int = 0
    log_checkpoint: str = ""
    log_checked_ms: int = 0
    log_successions: int = 0
    log_unproven: int = 0
    log_alarms: int = 0
    log_alarm: str = ""
    notice_ms: int = 0
    watched_until_ms: int = 0
    unsupported: list[str] = field(default_factory=list)
    buses: dict[str, dict[str, int]] = field(default_factory=dict)
    units: dict[str, dict[str, int]] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)

    def count(self, bus: str, unit: int, code: int) -> None:
        """One more slot of a request to a unit of a bus met a fate; an exception counts under its number."""
        name = fate_of(code).name.lower()
        for group, key, fate in ((self.buses, bus, name), (self.units, f"{bus}/{unit}", fate_text(code))):
            fates = group.setdefault(key, {})
            fates[fate] = fates.get(fate, 0) + 1

    def shown(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def payload(self) -> bytes:
        """The unsigned status message."""
        return json.dumps(self.shown(), separators=(",", ":")).encode()

    def write(self, folder: Path) -> None:
        """Replace the status file; readers see the old or the new one, never half."""
        draft = folder / f".{FILE}.{os.getpid()}"
        draft.write_text(json.dumps(self.shown(), indent=1) + "\n", encoding="utf-8")
        draft.replace(folder / FILE)


def read_status(folder: Path) -> dict[str, Any]:
    """What the status file says; empty where there is none that can be read."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
