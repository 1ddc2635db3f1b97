"""Global warming potentials over 100 years, as dated sets; CO2e is formed at report time and never stored.

Methane has two records where a report tells its origin apart (AR5, AR6):

- ``CH4``: without the CO2 that follows when methane oxidises. For biogenic methane, and for fossil methane
  whose carbon is already in the CO2 figure: combustion by carbon content counts all carbon of the fuel as
  CO2, so the CO2 of its methane would count twice under the fossil value.
- ``CH4 (fossil)``: with that CO2. For fossil methane whose carbon is not in any CO2 figure: leaks, vents, and
  methane measured in a stack beside measured CO2.

The undifferentiated AR6 figure of 27.9 is not offered: it is not meant for inventories. ``species`` names the
record for a method, and where the origin is not known it takes the greater one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from protocols.errors import EmitraceError
from protocols.exact import half_even
from protocols.plan.model import Method

FOSSIL_METHANE = "CH4 (fossil)"


class GwpError(EmitraceError):
    """A potential was asked for that no record gives; there is no nearest value."""


@dataclass(frozen=True, slots=True)
class Potential:
    """One GWP-100 with its birth certificate; ``value`` in kg CO2e per kg of the gas."""

    gas: str
    value: Decimal
    source: str
    table: str
    confidence: str
    note: str = ""

    @property
    def exact(self) -> Fraction:
        """The value as a fraction. [kg CO2e/kg]"""
        return Fraction(self.value)


@dataclass(frozen=True, slots=True)
class GwpSet:
    """The potentials of one assessment report."""

    name: str
    title: str
    year: int
    potentials: Mapping[str, Potential]

    def potential(self, gas: str) -> Potential:
        """The record of a gas.

        Raises
        ------
        GwpError
            The set has none; the text names those it has.
        """
        if gas not in self.potentials:
            raise GwpError(f"GWP set {self.name}", f"no value for {gas!r}", f"it has {', '.join(self.potentials)}")
        return self.potentials[gas]


def gwp_names() -> list[str]:
    """Names of the packaged sets, oldest first."""
    return list(_sets())


def gwp_set(name: str) -> GwpSet:
    """The packaged set of that name (SAR, TAR, AR4, AR5, AR6).

    Raises
    ------
    GwpError
        There is none of that name.
    """
    sets = _sets()
    if name not in sets:
        raise GwpError("GWP set", f"{name!r} is not known", f"choose one of {', '.join(sets)}")
    return sets[name]


def gwp(gas: str, name: str) -> Fraction:
    """The exact potential of a gas in the set of that name. [kg CO2e/kg]"""
    return gwp_set(name).potential(gas).exact


def species(gas: str, method: Method, weights: GwpSet) -> str:
    """Which record of the set weighs a gas that a source of this method reports.

    Methane of a measured stack is taken as fossil, the greater value, because its carbon is not part of the
    measured CO2 and the fuel is not known here.
    """
    if gas == "CH4" and method is Method.CEMS and FOSSIL_METHANE in weights.potentials:
        return FOSSIL_METHANE
    return gas


def co2e_mg(mass_mg: int, gas: str, weights: GwpSet | str) -> int:
    """CO2 equivalent of a mass, exact, rounded once half to even.

    Parameters
    ----------
    mass_mg : int
        Any size and sign. [mg]
    gas : str
        A record of the set; see ``species``.
    weights : GwpSet or str
        The set or its name.

    Returns
    -------
    int
        [mg CO2e]
    """
    chosen = gwp_set(weights) if isinstance(weights, str) else weights
    value = chosen.potential(gas).exact
    return half_even(int(mass_mg) * value.numerator, value.denominator)


@cache
def _sets() -> Mapping[str, GwpSet]:
    text = files("protocols.ghg").joinpath("data", "gwp.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text, parse_float=Decimal)
    sets: dict[str, GwpSet] = {}
    for table in tables["sets"]:
        potentials = {
            p["gas"]: Potential(
                p["gas"], Decimal(p["value"]), p["source"], p["table"], p["confidence"], p.get("note", "")
            )
            for p in table["potentials"]
        }
        sets[table["name"]] = GwpSet(table["name"], table["title"], table["year"], MappingProxyType(potentials))
    return MappingProxyType(sets)
