"""Values with unit and uncertainty in every form of D-SI from 1.3 to 2.2.

The forms differ in where the uncertainty stands and what it is called; a list with one token of uncertainty means
the same for every value, and a hybrid states one quantity in several units.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from calibration.dcc.tree import Node
from calibration.errors import DccError

LONGEST_LIST = 10_000
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?")

_WORDS = {
    "one": "1", "percent": "%", "kelvin": "K", "degreecelsius": "degC", "ampere": "A", "volt": "V", "watt": "W",
    "joule": "J", "metre": "m", "gram": "g", "kilogram": "kg", "tonne": "t", "second": "s", "minute": "min",
    "hour": "h", "day": "d", "pascal": "Pa", "bar": "bar", "litre": "L", "mole": "mol", "hertz": "Hz", "ohm": "Ohm",
    "newton": "N", "ppm": "ppm",
}  # fmt: skip
_PREFIXES = {"micro": "u", "milli": "m", "centi": "c", "hecto": "h", "kilo": "k", "mega": "M", "giga": "G", "tera": "T"}
_TOKEN = re.compile(r"\\([a-z]+)(?:\{([^}]*)\})?")

_SINGLE = (  # path to the uncertainty, path to the coverage factor (None: it is a standard uncertainty)
    (("expandedUnc", "uncertainty"), ("expandedUnc", "coverageFactor")),
    (
        ("measurementUncertaintyUnivariate", "expandedMU", "valueExpandedMU"),
        ("measurementUncertaintyUnivariate", "expandedMU", "coverageFactor"),
    ),
    (("measurementUncertaintyUnivariate", "standardMU", "valueStandardMU"), None),
    (("coverageInterval", "standardUnc"), None),
)
_LISTS = (
    (("expandedUncXMLList", "uncertaintyXMLList"), ("expandedUncXMLList", "coverageFactorXMLList")),
    (
        ("measurementUncertaintyUnivariateXMLList", "expandedMUXMLList", "valueExpandedMUXMLList"),
        ("measurementUncertaintyUnivariateXMLList", "expandedMUXMLList", "coverageFactorXMLList"),
    ),
    (("measurementUncertaintyUnivariateXMLList", "standardMUXMLList", "valueStandardMUXMLList"), None),
    (("coverageIntervalXMLList", "standardUncXMLList"), None),
)


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one quantity in one unit.

    Attributes
    ----------
    values : tuple of Decimal
    unit : str
        In plain letters where every part is known ("m3/h"), else as in the file.
    uncertainty, k : tuple of Decimal, or empty
        Expanded uncertainty and coverage factor of each value; a standard uncertainty has k = 1.
    """

    values: tuple[Decimal, ...]
    unit: str
    uncertainty: tuple[Decimal, ...] = ()
    k: tuple[Decimal, ...] = ()


def read_quantity(quantity: Node) -> tuple[Values, ...]:
    """What a ``dcc:quantity`` states, once for each unit; empty for text, constants of complex form and the like."""
    found = [read for child in quantity.children for read in _forms(child)]
    relative = quantity.first("relativeUncertainty")
    if relative is None:
        return tuple(found)
    return tuple(_with_relative(one, relative) for one in found)


def in_unit(found: tuple[Values, ...], unit: str | None) -> Values | None:
    """The form in a unit, else the first one; None where there is none."""
    return next((one for one in found if one.unit == unit), found[0] if found else None)


def plain_unit(text: str) -> str:
    r"""A D-SI unit such as ``\metre\tothe{3}\per\hour`` in plain letters; as it is where a part is not known."""
    upper: list[str] = []
    lower: list[str] = []
    side, prefix = upper, ""
    rest = _TOKEN.sub("", text).strip()
    for word, argument in _TOKEN.findall(text):
        if word == "per":
            side = lower
        elif word in _PREFIXES:
            prefix = _PREFIXES[word]
        elif word == "tothe" and side and re.fullmatch(r"\d{1,2}", argument):
            side[-1] += argument
        elif word in _WORDS:
            side.append(prefix + _WORDS[word])
            prefix = ""
        else:
            return text.strip()
    if rest or prefix or not (upper or lower):
        return text.strip()
    return (".".join(upper) or "1") + "".join(f"/{one}" for one in lower)


def number(text: str) -> Decimal:
    """A decimal of bounded length.

    Raises
    ------
    DccError
        It is none.
    """
    if not _NUMBER.fullmatch(text):
        raise DccError(
            "certificate", f"{text[:40]!r} where a number is expected", "ask the laboratory for a correct file"
        )
    return Decimal(text)


def _forms(node: Node) -> list[Values]:
    if node.name == "hybrid":
        return [read for child in node.children for read in _forms(child)]
    if node.name == "real":
        return [_real(node)]
    if node.name == "realListXMLList":
        return [_xml_list(node)]
    if node.name == "list":
        reals = [_real(child) for child in node.children if child.name == "real"]
        return [_joined(reals)] if reals else []
    return []


def _real(node: Node) -> Values:
    value = number(node.said("value"))
    for path, factor in _SINGLE:
        text = node.said(*path)
        if text:
            k = Decimal(1) if factor is None else number(node.said(*factor))
            return Values((value,), plain_unit(node.said("unit")), (number(text),), (k,))
    return Values((value,), plain_unit(node.said("unit")))


def _joined(reals: list[Values]) -> Values:
    units = {one.unit for one in reals}
    if len(units) > 1 or len(reals) > LONGEST_LIST:
        raise DccError(
            "certificate", "a list of several units, or too long", "ask the laboratory for one unit per list"
        )
    whole = all(one.uncertainty for one in reals)
    return Values(
        tuple(one.values[0] for one in reals), reals[0].unit,
        tuple(one.uncertainty[0] for one in reals) if whole else (), tuple(one.k[0] for one in reals) if whole else (),
    )  # fmt: skip


def _xml_list(node: Node) -> Values:
    values = _numbers(node.said("valueXMLList"))
    units = {plain_unit(one) for one in node.said("unitXMLList").split()}
    if not values or len(units) != 1:
        raise DccError(
            "certificate", f"a list of {len(values)} values and {len(units)} units", "ask for one unit per list"
        )
    for path, factor in _LISTS:
        text = node.said(*path)
        if text:
            k = (Decimal(1),) if factor is None else _numbers(node.said(*factor))
            return Values(values, units.pop(), _for_each(_numbers(text), len(values)), _for_each(k, len(values)))
    return Values(values, units.pop())


def _numbers(text: str) -> tuple[Decimal, ...]:
    words = text.split()
    if len(words) > LONGEST_LIST:
        raise DccError("certificate", f"a list of {len(words)} values", f"at most {LONGEST_LIST}")
    return tuple(number(word) for word in words)


def _for_each(tokens: tuple[Decimal, ...], count: int) -> tuple[Decimal, ...]:
    if len(tokens) == 1:
        return tokens * count
    if len(tokens) != count:
        raise DccError("certificate", f"{len(tokens)} uncertainties for {count} values", "ask for one, or one each")
    return tokens


def _with_relative(one: Values, relative: Node) -> Values:
    """Values whose uncertainty is stated as a fraction (or per cent) of them, with its k; without k it says nothing."""
    single, each = relative.first("relativeUncertaintySingle"), relative.first("relativeUncertaintyXmlList")
    if one.uncertainty or (single is None and each is None):
        return one
    stated = _xml_list(each) if each is not None else _real(single) if single is not None else one
    if not stated.k:
        return one
    scale = Decimal(100) if stated.unit == "%" else Decimal(1)
    shares = _for_each(stated.values, len(one.values))
    sizes = tuple(abs(value) * share / scale for value, share in zip(one.values, shares, strict=True))
    return Values(one.values, one.unit, sizes, _for_each(stated.k[:1], len(one.values)))
