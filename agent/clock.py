"""The agent's time line: the boot's monotonic clock plus an offset that is chosen once per run.

Samples are stamped on the monotonic clock; UTC is that plus the offset. The offset never moves while the
agent runs, so a step of the system clock cannot reorder samples; a clock that has come to differ is noticed
(``UtcLine.drift_ms``) and, where it is to be followed (``choose_clock``), the service begins a new run with a
clock-correction event.
"""

from __future__ import annotations

import ctypes
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from protocols.records import Clock, ClockState

UNSET_BEFORE_MS = 1_735_689_600_000
"""2025-01-01: a wall clock before this was never set."""
SAME_OFFSET_MS = 50
"""A restart within the same boot keeps the old offset where the clocks agree this well."""
HOLDOVER_UNCERTAINTY_MS = 1_000
"""Least uncertainty stated for a clock that nothing disciplines; an assumption, confidence: unverified."""

_TIMESYNC = Path("/run/systemd/timesync/synchronized")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STA_UNSYNC = 0x40
_TIME_ERROR = 5
_PROCESS_BOOT = uuid.uuid4().bytes


@dataclass(frozen=True, slots=True)
class SystemTime:
    """One reading of the machine's clocks: UTC and monotonic [ms], trust, and uncertainty [ms]."""

    utc_ms: int
    mono_ms: int
    state: ClockState
    uncertainty_ms: int


class Machine(Protocol):
    """Where time comes from; tests bring their own."""

    def boot_id(self) -> bytes:
        """16 bytes that change with every boot."""

    def mono_ms(self) -> int:
        """Monotonic time, suspend included. [ms]"""

    def read(self) -> SystemTime:
        """Both clocks at one instant, and how far UTC is trusted."""


class KernelClock:
    """The machine's own clocks."""

    def boot_id(self) -> bytes:
        """The kernel's boot id; where there is none, one per process."""
        try:
            return uuid.UUID(_BOOT_ID.read_text(encoding="ascii").strip()).bytes
        except (OSError, ValueError):
            return _PROCESS_BOOT

    def mono_ms(self) -> int:
        """Time since boot, suspend included. [ms]"""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return time.monotonic_ns() // 1_000_000

    def read(self) -> SystemTime:
        """Both clocks; UTC is taken between two monotonic readings."""
        before = self.mono_ms()
        utc_ms = time.time_ns() // 1_000_000
        mono_ms = (before + self.mono_ms()) // 2
        state, uncertainty_ms = _discipline()
        if utc_ms < UNSET_BEFORE_MS:
            state = ClockState.UNSET
        return SystemTime(utc_ms, mono_ms, state, uncertainty_ms)


class UtcLine:
    """UTC of this run: monotonic clock plus a fixed offset."""

    def __init__(self, machine: Machine, offset_ms: int) -> None:
        self._machine = machine
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        """UTC now. [ms]"""
        return self._machine.mono_ms() + self.offset_ms

    def drift_ms(self, now: SystemTime) -> int:
        """How far the system clock is ahead of this line. [ms]"""
        return now.utc_ms - now.mono_ms - self.offset_ms


def choose_clock(now: SystemTime, boot_id: bytes, last: Clock | None) -> Clock:
    """The clock of a run that starts now, or goes on.

    Within a boot the last offset stays where the clocks agree, so that a restart moves nothing. The whole last clock
    stays where it was synchronised and the system clock is not now: the monotonic clock keeps the time, and a hand
    or a lost time server that moves the system clock moves no reading.
    """
    offset_ms = now.utc_ms - now.mono_ms
    if last is not None and last.boot_id == boot_id:
        if abs(offset_ms - last.offset_ms) <= SAME_OFFSET_MS:
            offset_ms = last.offset_ms
        elif last.state is ClockState.SYNCED and now.state is not ClockState.SYNCED:
            return last
    return Clock(boot_id, offset_ms, now.state, now.uncertainty_ms)


class _Timex(ctypes.Structure):
    """Linux struct timex; only the head is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


def _discipline() -> tuple[ClockState, int]:
    """Whether the kernel or systemd says that the clock is disciplined, and the error bound. [ms]"""
    synced = _TIMESYNC.exists()
    bound_ms = HOLDOVER_UNCERTAINTY_MS
    if os.name == "posix" and os.uname().sysname == "Linux":
        timex = _Timex()
        result = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
        if result >= 0:
            bound_ms = max(1, timex.maxerror // 1000)
            synced = synced or (result != _TIME_ERROR and not timex.status & _STA_UNSYNC)
    if synced:
        return ClockState.SYNCED, bound_ms
    return ClockState.HOLDOVER, max(bound_ms, HOLDOVER_UNCERTAINTY_MS)
