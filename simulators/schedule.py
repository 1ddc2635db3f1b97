"""The boiler's firing schedule: operating states that repeat, and how far the burner is open in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from simulators.waves import Wave


class State(IntEnum):
    """Operating state as the boiler's controller reports it."""

    STOPPED = 0
    STARTING = 1
    RUNNING = 2
    STANDBY = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the cycle: the opening goes linearly from ``first`` to ``last``. [s, 1]"""

    from_s: float
    to_s: float
    first: float
    last: float
    state: State

    @property
    def slope(self) -> float:
        """Change of the opening. [1/s]"""
        return (self.last - self.first) / (self.to_s - self.from_s)

    def opening(self, at_s: float) -> float:
        """How far the burner is open, 0 to 1."""
        return self.first + self.slope * (at_s - self.from_s)

    def integral(self, load: Wave, to_s: float) -> float:
        """Integral of opening x load from the segment's start to ``to_s``, in closed form. [unit x s]

        For (e0 + b u) (c + A sin(w t + p)) with u = t - from_s the antiderivative is
        c (e0 u + b u^2 / 2) + A (-(e0 + b u) cos(w t + p) / w + b sin(w t + p) / w^2).
        """
        u = to_s - self.from_s
        parts = [load.base * (self.first * u + self.slope * u * u / 2.0)]
        for sine in load.sines:
            omega = sine.omega
            for at_s, sign in ((to_s, 1.0), (self.from_s, -1.0)):
                angle = omega * at_s + sine.phase
                swing = self.slope * math.sin(angle) / omega**2 - self.opening(at_s) * math.cos(angle) / omega
                parts.append(sign * sine.amplitude * swing)
        return math.fsum(parts)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The segments of one cycle; the cycle repeats without end from the scenario's start."""

    segments: tuple[Segment, ...]

    @property
    def cycle_s(self) -> float:
        """Length of the cycle. [s]"""
        return self.segments[-1].to_s

    def at(self, t_s: float) -> tuple[Segment, float]:
        """The segment in force and the time inside the cycle. [s]"""
        inside = math.fmod(t_s, self.cycle_s)
        for segment in self.segments:
            if inside < segment.to_s:
                return segment, inside
        return self.segments[-1], self.cycle_s

    def integral(self, load: Wave, inside_s: float) -> float:
        """Integral of opening x load from the cycle's start to ``inside_s`` <= cycle_s. [unit x s]"""
        return math.fsum(s.integral(load, min(inside_s, s.to_s)) for s in self.segments if s.from_s < inside_s)


def build_schedule(phases: Sequence[tuple[State, int]], closing_s: int) -> Schedule:
    """Lay phases out as segments.

    Parameters
    ----------
    phases : sequence of (State, int)
        State and length of each phase of the cycle. [s]
    closing_s : int
        How long the burner takes to close at the end of a running phase. [s]

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        No phase, or a running phase that is not longer than the closing time.
    """
    if not phases:
        raise ValueError("boiler schedule: no phase. Give at least one, for example running for 600 s")
    segments: list[Segment] = []
    at = 0.0
    alone = all(state is State.RUNNING for state, _ in phases)
    for state, length in phases:
        end = at + length
        if state is State.STARTING:
            segments.append(Segment(at, end, 0.0, 1.0, state))
        elif state is State.RUNNING and alone:
            segments.append(Segment(at, end, 1.0, 1.0, state))
        elif state is State.RUNNING:
            if length <= closing_s:
                hint = f"Make it longer than closing_s = {closing_s}"
                raise ValueError(f"boiler schedule: a running phase of {length} s. {hint}")
            segments.append(Segment(at, end - closing_s, 1.0, 1.0, state))
            segments.append(Segment(end - closing_s, end, 1.0, 0.0, state))
        else:
            segments.append(Segment(at, end, 0.0, 0.0, state))
        at = end
    return Schedule(tuple(segments))
