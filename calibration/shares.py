"""How much of a mass rests on which status: parts in integers that add up to the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from calibration.errors import CalibrationError
from calibration.status import STATES, Interval, State
from protocols.exact import half_even


def mass_by_state(mass_mg: int, stretches: Sequence[Interval]) -> dict[State, int]:
    """A mass of a span split by time among the states of its stretches.

    Parameters
    ----------
    mass_mg : int
        Of the whole span; negative for what is exported. [mg]
    stretches : sequence of (int, int, Status)
        Adjacent, ascending, of one span, as ``Timeline.between`` gives them. [UTC ms]

    Returns
    -------
    dict of State to int
        In the order of the closed list, adding up to ``mass_mg``. [mg]

    Raises
    ------
    CalibrationError
        There is no stretch, or they leave a hole.

    Notes
    -----
    Cumulative rounding: with R(t) the half-even of mass x elapsed / length, a stretch has R(end) - R(start).
    """
    if not stretches or any(a[1] != b[0] for a, b in pairwise(stretches)):
        raise CalibrationError("mass", "no stretches, or a hole between them", "ask a timeline for the whole span")
    begin, end = stretches[0][0], stretches[-1][1]
    found: dict[State, int] = {}
    taken = 0
    for _, to_ms, status in stretches:
        until = half_even(mass_mg * (to_ms - begin), end - begin)
        found[status.state] = found.get(status.state, 0) + until - taken
        taken = until
    return {state: found[state] for state in STATES if state in found}


def total_by_state(parts: Iterable[Mapping[State, int]]) -> dict[State, int]:
    """Sum over many spans, in the order of the closed list. [mg]"""
    found: dict[State, int] = {}
    for part in parts:
        for state, mass in part.items():
            found[state] = found.get(state, 0) + mass
    return {state: found[state] for state in STATES if state in found}
