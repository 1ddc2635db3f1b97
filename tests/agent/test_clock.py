from __future__ import annotations

import pytest

from agent.clock import KernelClock, SystemTime, UtcLine, choose_clock
from protocols.records import Clock, ClockState

BOOT, OTHER = b"b" * 16, b"o" * 16
HOUR_MS = 3_600_000


def at(utc_ms: int, mono_ms: int) -> SystemTime:
    return SystemTime(utc_ms, mono_ms, ClockState.SYNCED, 1)


def test_a_restart_in_the_same_boot_keeps_the_offset() -> None:
    """Where the clocks agree within 50 ms the time line goes on as it was."""
    assert 1_000 == choose_clock(at(6_040, 5_000), BOOT, Clock(BOOT, 1_000, ClockState.SYNCED, 1)).offset_ms


def test_a_stepped_clock_or_a_new_boot_brings_a_new_offset() -> None:
    """The old offset says nothing then."""
    assert 1_051 == choose_clock(at(6_051, 5_000), BOOT, Clock(BOOT, 1_000, ClockState.SYNCED, 1)).offset_ms
    assert 1_001 == choose_clock(at(6_001, 5_000), BOOT, Clock(OTHER, 1_000, ClockState.SYNCED, 1)).offset_ms
    assert 1_001 == choose_clock(at(6_001, 5_000), BOOT, None).offset_ms


@pytest.mark.parametrize(
    ("line", "clock", "followed"),
    [
        (ClockState.SYNCED, ClockState.SYNCED, True),
        (ClockState.SYNCED, ClockState.HOLDOVER, False),
        (ClockState.SYNCED, ClockState.UNSET, False),
        (ClockState.HOLDOVER, ClockState.HOLDOVER, True),
        (ClockState.HOLDOVER, ClockState.SYNCED, True),
    ],
)
@pytest.mark.parametrize("step_ms", [-HOUR_MS, HOUR_MS])
def test_a_synchronised_line_gives_way_only_to_a_synchronised_clock(
    line: ClockState, clock: ClockState, followed: bool, step_ms: int
) -> None:
    """Within a boot, forward and back alike; a new boot knows no line."""
    now = SystemTime(6_000 + step_ms, 5_000, clock, 7)
    followed_clock = Clock(BOOT, 1_000 + step_ms, clock, 7)
    old = Clock(BOOT, 1_000, line, 1)

    assert (followed_clock if followed else old) == choose_clock(now, BOOT, old)
    assert followed_clock == choose_clock(now, BOOT, Clock(OTHER, 1_000, line, 1))


def test_the_kernel_clock_moves_forward_and_knows_its_boot() -> None:
    """Boot id of 16 bytes, the same twice; monotonic; UTC where the test runs is set."""
    clock = KernelClock()
    first, second = clock.read(), clock.read()

    assert clock.boot_id() == clock.boot_id()
    assert 16 == len(clock.boot_id())
    assert first.mono_ms <= second.mono_ms
    assert first.state is not ClockState.UNSET
    assert first.uncertainty_ms >= 1


def test_the_line_says_how_far_the_system_clock_has_gone() -> None:
    """Drift is the system clock against the run's own time."""
    line = UtcLine(KernelClock(), 1_000)

    assert 250 == line.drift_ms(at(6_250, 5_000))
