from __future__ import annotations

from agent.clock import Anchor, KernelClock, SystemTime, UtcLine, choose_offset
from protocols.records import ClockState

BOOT, OTHER = b"b" * 16, b"o" * 16


def at(utc_ms: int, mono_ms: int) -> SystemTime:
    return SystemTime(utc_ms, mono_ms, ClockState.SYNCED, 1)


def test_a_restart_in_the_same_boot_keeps_the_offset() -> None:
    """Where the clocks agree within 50 ms the time line goes on as it was."""
    assert 1_000 == choose_offset(at(6_040, 5_000), BOOT, Anchor(BOOT, 1_000))


def test_a_stepped_clock_or_a_new_boot_brings_a_new_offset() -> None:
    """The old offset says nothing then."""
    assert 1_051 == choose_offset(at(6_051, 5_000), BOOT, Anchor(BOOT, 1_000))
    assert 1_001 == choose_offset(at(6_001, 5_000), BOOT, Anchor(OTHER, 1_000))
    assert 1_001 == choose_offset(at(6_001, 5_000), BOOT, None)


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
