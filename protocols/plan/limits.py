"""What values of a point can be believed: stated in the plan, or following from the instrument's span or rating."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from protocols.modbus.registermap import Register
from protocols.plan.bound import BoundPlausible
from protocols.plan.model import Instrument, Plausible, Point, Rating
from protocols.plan.ratios import unit_ratio
from protocols.quantities import Kind, Quantity

ENERGIES = frozenset({Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT})
RATED = frozenset({Quantity.ACTIVE_POWER, Quantity.VOLTAGE, Quantity.CURRENT})
"""Instants a rating bounds."""
MILLI = 1000
"""1 W over an hour is 1000 mWh."""

Range = tuple[Fraction | None, Fraction | None]


def rated_limit(instrument: Instrument, quantity: Quantity) -> Fraction | None:
    """Greatest primary value that the meter's rating and its transformers allow; None where nothing follows.

    Parameters
    ----------
    instrument : Instrument
    quantity : Quantity
        Voltage [V], current [A], power of all phases [W], or energy in an hour [mWh].

    Returns
    -------
    Fraction or None
        U x PT, I x CT, phases x U x PT x I x CT, each with the margin. [base unit, per hour for energy]
    """
    rating = instrument.rating
    if rating is None:
        return None
    margin = 1 + Fraction(rating.margin_percent) / 100
    volts = Fraction(rating.voltage_v) * Fraction(instrument.pt_ratio)
    amperes = Fraction(rating.current_a) * Fraction(instrument.ct_ratio)
    limits = {
        Quantity.VOLTAGE: volts,
        Quantity.CURRENT: amperes,
        Quantity.ACTIVE_POWER: rating.phases * volts * amperes,
        **dict.fromkeys(ENERGIES, rating.phases * volts * amperes * MILLI),
    }
    return limits[quantity] * margin if quantity in limits else None


def stated_or_rated_growth(instrument: Instrument, quantity: Quantity, stated: Fraction | None) -> Fraction | None:
    """Greatest plausible growth of a counter: as stated, else from the rating. [base unit/h]"""
    if stated is not None or quantity not in ENERGIES:
        return stated
    return rated_limit(instrument, quantity)


def believable(instrument: Instrument, register: Register, plausible: Plausible | None) -> Range:
    """Least and greatest value of an instant [base unit]; None where nothing bounds it.

    A stated limit holds. Else, a rating bounds voltage, current and power; else, where the point has a
    ``plausible`` table, the instrument's span reaches from 0 to its end.
    """
    if register.quantity.definition.kind is not Kind.INSTANT:
        return None, None
    units = unit_ratio(instrument, register)
    low: Fraction | None = None
    high: Fraction | None = None
    rated = rated_limit(instrument, register.quantity)
    if rated is not None:
        low, high = (-rated if register.quantity is Quantity.ACTIVE_POWER else Fraction(0)), rated
    elif plausible is not None and instrument.accuracy.span > 0:
        low, high = Fraction(0), Fraction(instrument.accuracy.span) * units
    if plausible is not None:
        low = low if plausible.low is None else Fraction(plausible.low) * units
        high = high if plausible.high is None else Fraction(plausible.high) * units
    return low, high


def bound_plausible(instrument: Instrument, register: Register, point: Point) -> BoundPlausible | None:
    """The rules of a point in base units; None where there are none."""
    rules = point.plausible
    low, high = believable(instrument, register, rules)
    if rules is None and low is None and high is None:
        return None
    units = unit_ratio(instrument, register)
    step = None if rules is None or rules.max_step is None else float(Fraction(rules.max_step) * units)
    return BoundPlausible(
        low=float("-inf") if low is None else float(low),
        high=float("inf") if high is None else float(high),
        max_step=step,
        frozen_after=None if rules is None else rules.frozen_after,
    )


def shown_rating(rating: Rating) -> str:
    """The rating as an error shows it."""
    margin = f" + {rating.margin_percent} %" if rating.margin_percent else ""
    return f"{rating.phases} x {_plain(rating.voltage_v)} V x {_plain(rating.current_a)} A{margin}"


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
