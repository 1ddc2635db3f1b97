"""Numbers as text for people; the exact integer always stands beside it in the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

_UNITS = (("t", 10**9), ("kg", 10**6), ("g", 10**3), ("mg", 1))
_THRESHOLDS_MG = (10 * 10**9, 10**6, 10**3)


@dataclass(frozen=True, slots=True)
class MassUnit:
    """The unit a table is shown in, chosen by its largest value."""

    name: str
    size_mg: int

    @property
    def size(self) -> int:
        """How many mg it is."""
        return self.size_mg

    def text(self, mass_mg: int | float) -> str:
        """The value with three decimals (none in mg) and grouped digits; what is not zero never reads as zero."""
        places = Decimal("0.001") if self.size_mg > 1 else Decimal(1)
        exact = Decimal(mass_mg) / Decimal(self.size_mg)
        value = exact.quantize(places, rounding=ROUND_HALF_EVEN)
        if value == 0 and mass_mg:
            return f"< {places}" if mass_mg > 0 else f"> \u2212{places}"
        return f"{value:,}".replace(",", "\u202f").replace("-", "\u2212")


def mass_unit(largest_mg: int) -> MassUnit:
    """Tonnes from 10 t, kilograms from 1 kg, grams from 1 g, else milligrams."""
    for (name, size), threshold in zip(_UNITS, _THRESHOLDS_MG, strict=False):
        if abs(largest_mg) >= threshold:
            return MassUnit(name, size)
    return MassUnit("mg", 1)


def percent(part: int, whole: int) -> str:
    """A share with one decimal; never 100.0 unless it is whole, never 0.0 unless it is nothing."""
    if whole <= 0:
        return "\u2013"
    share = (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.1"), rounding=ROUND_HALF_EVEN)
    if share == 100 and part != whole:
        share = Decimal("99.9")
    if share == 0 and part > 0:
        share = Decimal("0.1")
    return f"{share}\u202f%"


def share_text(share: object) -> str:
    """A share of 0 to 1 as a percentage; a dash where there is none."""
    return percent(round(share * 10**9), 10**9) if isinstance(share, int | float) else "\u2013"


def instant(at_ms: int | None, zone: ZoneInfo, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A local time in the facility's zone."""
    if at_ms is None:
        return "\u2013"
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone).strftime(form)
    except OverflowError:  # years before 1 or after 9999: a figure from outside must never break a page
        return f"{at_ms} ms"


def formula(name: str) -> Markup:
    """A gas with its digits low: CO2 becomes CO<sub>2</sub>."""
    signs = (Markup("<sub>{}</sub>").format(sign) if sign.isdigit() else escape(sign) for sign in name)
    return Markup("<span>{}</span>").format(Markup("").join(signs))


def formula_text(name: str) -> str:
    """The same where no markup can stand: CO2 becomes CO\u2082."""
    return "".join(chr(0x2080 + int(sign)) if sign.isdigit() else sign for sign in name)


def grouped(number: int) -> str:
    """An integer with its digits in groups of three."""
    return f"{number:,}".replace(",", "\u202f")
