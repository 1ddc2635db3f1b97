"""From the factor records of a plan to one exact coefficient per input quantity and gas.

A chain of factors multiplies; its units must cancel from the input's unit to a mass of the gas. Everything is
a fraction here: the one rounding comes later, where the coefficient becomes a float64.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from protocols.errors import EmitraceError
from protocols.plan.model import FactorRecord
from protocols.quantities import Kind, Quantity, Reference, Temperature

SPECIES = ("CO2", "CH4", "N2O", "SF6", "NF3", "C")
"""What a mass token may name; "C" is carbon, and no species at all is the fuel or material itself."""

_ENERGY = {  # in mWh: 1 mWh = 3.6 J exactly
    "J": Fraction(5, 18),
    "MJ": Fraction(5 * 10**6, 18),
    "GJ": Fraction(5 * 10**9, 18),
    "TJ": Fraction(5 * 10**12, 18),
    "mWh": Fraction(1),
    "Wh": Fraction(10**3),
    "kWh": Fraction(10**6),
    "MWh": Fraction(10**9),
    "GWh": Fraction(10**12),
}
_VOLUME = {"mL": Fraction(1), "L": Fraction(10**3), "m3": Fraction(10**6), "1e4m3": Fraction(10**10)}
_MASS = {"mg": Fraction(1), "g": Fraction(10**3), "kg": Fraction(10**6), "t": Fraction(10**9)}

_NUMBER = re.compile(r"\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2})?")
_EXPONENT_LIMIT = 60  # keeps a hostile "1e999999999" from becoming a number of that many digits


class FactorError(EmitraceError):
    """A factor record, or the way a chain of them is joined, makes no sense."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as an exact size and its dimensions.

    Attributes
    ----------
    text : str
        As written.
    ratio : Fraction
        Size in the product of base units (mg, mL, mWh).
    dimensions : tuple of (name, power)
        Sorted, no zero powers. Names: ``energy``, ``volume``, ``mass`` (fuel or material) and ``mass of CO2``
        and the like.
    """

    text: str
    ratio: Fraction
    dimensions: tuple[tuple[str, int], ...]

    def has(self, dimension: str) -> bool:
        """Whether the unit contains that dimension."""
        return any(name == dimension for name, _ in self.dimensions)


def _token(word: str, unit: str, subject: str) -> tuple[Fraction, str]:
    """Size and dimension of one word of a unit, such as ``kgCO2``."""
    if word in _ENERGY:
        return _ENERGY[word], "energy"
    if word in _VOLUME:
        return _VOLUME[word], "volume"
    for prefix in ("mg", "kg", "g", "t"):
        rest = word.removeprefix(prefix)
        if rest != word and (rest == "" or rest in SPECIES):
            return _MASS[prefix], f"mass of {rest}" if rest else "mass"
    if "CO2e" in word:
        hint = "give a factor per gas (tCO2, kgCH4, kgN2O); CO2e is made at report time from the chosen GWP set"
    elif word.startswith(("Nm3", "nm3")):
        hint = 'write m3 and state the reference state, for example state = "0C"'
    else:
        known = ", ".join([*_ENERGY, *_VOLUME, *_MASS])
        hint = f"use one of {known}, or a mass with {', '.join(SPECIES)} behind it"
    raise FactorError(subject, f"unit {unit!r}: {word!r} is not known", hint)


def parse_unit(text: str, subject: str = "factor") -> Unit:
    """Read a unit such as ``tC/GJ``, ``GJ/1e4m3``, ``kgCO2/kWh`` or ``1``.

    Raises
    ------
    FactorError
        A token is not known or the form is not numerator/denominator.
    """
    parts = text.strip().split("/")
    if len(parts) > 2 or not all(p.strip() for p in parts):
        raise FactorError(subject, f"unit {text!r}", 'write numerator/denominator, for example "tC/GJ", or "1"')
    ratio = Fraction(1)
    powers: dict[str, int] = {}
    for part, power in zip(parts, (1, -1), strict=False):
        word = part.strip()
        if word == "1":
            continue
        size, dimension = _token(word, text, subject)
        ratio = ratio * size if power == 1 else ratio / size
        powers[dimension] = powers.get(dimension, 0) + power
    return Unit(text, ratio, tuple(sorted((d, p) for d, p in powers.items() if p)))


def exact_number(text: str | Decimal, subject: str = "factor") -> Fraction:
    """The exact value of a decimal ("0.0153") or a ratio of two ("44/12"); never negative.

    Raises
    ------
    FactorError
        The text is neither, or the denominator is zero.
    """
    if isinstance(text, Decimal):
        exponent = text.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > _EXPONENT_LIMIT:
            raise FactorError(subject, f"value {text}", "write a finite decimal of ordinary size")
        text = format(text, "f")
    parts = [p.strip() for p in text.split("/")]
    if len(parts) > 2 or not all(_NUMBER.fullmatch(p) for p in parts):
        hint = 'write a decimal ("0.0153") or a ratio ("44/12"), not negative'
        raise FactorError(subject, f"value {text[:80]!r}", hint)
    numbers = [Fraction(p) for p in parts]
    if len(numbers) == 1:
        return numbers[0]
    if numbers[1] == 0:
        raise FactorError(subject, f"value {text!r} divides by zero", "correct the denominator")
    return numbers[0] / numbers[1]


def factor_value(record: FactorRecord) -> Fraction:
    """Exact value of a factor record. [the record's unit]"""
    return exact_number(record.value, f"factor {record.id}")


def coefficient(chain: Sequence[FactorRecord], gas: str, quantity: Quantity, reference: Reference) -> Fraction:
    """Mass of a gas per unit of an input quantity, exact.

    Parameters
    ----------
    chain : sequence of FactorRecord
        Factors that multiply; their order does not matter.
    gas : str
        One of ``SPECIES`` except carbon.
    quantity : Quantity
        A counter: energy, gas volume or mass.
    reference : Reference
        State the quantity is stated in.

    Returns
    -------
    Fraction
        [mg of the gas per base unit of the quantity (mWh, mL, mg)]

    Raises
    ------
    FactorError
        The units do not cancel to a mass of the gas, the heat terms mix calorific bases, or a factor per
        volume has another reference state than the volume; the text shows both.

    Notes
    -----
    Combustion: m = V x NCV x CC x OF x 44/12, each a record of the chain [1]_. Electricity: m = E x EF.

    References
    ----------
    .. [1] GB/T 32150-2015 family and its successors; the form as in GB/T 32151.34-2024, Table C.1. Confidence:
       medium, read through software that quotes it.
    """
    subject = f"factors {', '.join(r.id for r in chain)}" if chain else "factors"
    definition = quantity.definition
    if definition.kind is not Kind.COUNTER:
        hint = "factors multiply counters of energy, volume or mass"
        raise FactorError(subject, f"{quantity.value} is not a counter", hint)
    if gas not in SPECIES or gas == "C":
        raise FactorError(subject, f"gas {gas!r}", f"one of {', '.join(s for s in SPECIES if s != 'C')}")
    start = parse_unit(definition.base_unit, subject)
    units = [parse_unit(record.unit, f"factor {record.id}") for record in chain]
    _check_basis(chain, units, start)
    _check_state(chain, units, start, reference)
    left = dict(start.dimensions)
    result = Fraction(1)
    for record, unit in zip(chain, units, strict=True):
        result *= factor_value(record) * unit.ratio
        for dimension, power in unit.dimensions:
            left[dimension] = left.get(dimension, 0) + power
    left = {d: p for d, p in left.items() if p}
    if left != {f"mass of {gas}": 1}:
        written = " x ".join(u.text for u in units) or "no factor"
        raise FactorError(
            subject,
            f"{definition.base_unit} x {written} gives {_words(left)}, not a mass of {gas}",
            f"the units must chain from {definition.base_unit} of {quantity.value} to a mass of {gas}",
        )
    return result


def _words(dimensions: dict[str, int]) -> str:
    """Dimensions in words, for an error."""
    if not dimensions:
        return "a plain number"
    return " x ".join(d if p == 1 else f"({d})^{p}" for d, p in sorted(dimensions.items()))


def _check_basis(chain: Sequence[FactorRecord], units: Sequence[Unit], start: Unit) -> None:
    """Heat of a fuel has one calorific basis along the chain; electrical energy and heat as such have none."""
    heats = [record for record, unit in zip(chain, units, strict=True) if _touches_energy(unit)]
    if start.has("energy"):
        for record in heats:
            if record.basis is not None:
                raise FactorError(
                    f"factor {record.id}",
                    f"basis {record.basis} (heat of a fuel), but the input is electrical energy without one",
                    "use a factor per unit of electricity, without basis",
                )
        return
    for record in heats:
        if record.basis is None:
            raise FactorError(
                f"factor {record.id}",
                f"unit {record.unit} has heat in it, but no calorific basis is stated",
                'state basis = "NCV" or basis = "HHV"',
            )
        if record.basis != heats[0].basis:
            raise FactorError(
                f"factor {record.id}",
                f"basis {record.basis}, but factor {heats[0].id} has basis {heats[0].basis}",
                "join factors of one calorific basis; HHV and NCV differ by about 10 % for natural gas",
            )


def _touches_energy(unit: Unit) -> bool:
    return any(part in _ENERGY for part in (p.strip() for p in unit.text.split("/")))


def _check_state(chain: Sequence[FactorRecord], units: Sequence[Unit], start: Unit, reference: Reference) -> None:
    """Every volume along the chain is stated at one reference temperature."""
    owner, stated = "", None
    if start.has("volume"):
        owner = "the volume"
        stated = reference.temperature.value if reference.temperature is not None else None
        if stated is None:
            raise FactorError(
                "input volume", "no reference temperature", "state it in the register map or the plan (0C, 15C, 20C)"
            )
    for record in (r for r, u in zip(chain, units, strict=True) if u.has("volume")):
        if record.state is None:
            raise FactorError(
                f"factor {record.id}",
                f"unit {record.unit} is per volume, but no reference state is given"
                + (f"; {owner} is at {stated}" if stated else ""),
                'state = "0C", "15C" or "20C" as its source says',
            )
        if not owner:
            owner, stated = f"factor {record.id}", record.state
        elif record.state != stated:
            hint = (
                "fit a volume converter, or use a meter whose register is at a reference state"
                if stated == Temperature.ACTUAL.value
                else f"use a factor stated at {stated}, or a register that is stated at {record.state}"
            )
            seen = f"reference state {record.state}, but {owner} is at {stated}"
            raise FactorError(f"factor {record.id}", seen, hint)
