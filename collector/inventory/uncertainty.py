"""Uncertainty of summed hour rows; how parts combine is ``protocols.ghg.uncertainty``."""

from __future__ import annotations

from collector.hours.sums import HourSum
from protocols.ghg.uncertainty import Parts, quadrature


def parts_of(one: HourSum) -> Parts:
    """A sum's parts, those at holes among its ends. [mg]

    A factor is one cause wherever it is used, an instrument is a cause of its own agent.
    """
    shared = {f"{one.agent}/{cause}" if cause.startswith("instrument:") else cause: u for cause, u in one.u_shared}
    return Parts(
        one.u_independent, shared, quadrature((one.u_end_first, one.u_hole_first)),
        quadrature((one.u_end_last, one.u_hole_last)),
    )  # fmt: skip
