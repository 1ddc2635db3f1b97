"""From a DCC's XML to what it says: items, dates, laboratory, statements, and tables of results.

What something is follows from its place and its ``refType``, never from a name: names are in many languages and
sometimes wrongly marked. What was found before an adjustment stands among the influence conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from calibration.dcc.quantities import Values, in_unit, read_quantity
from calibration.dcc.tree import Node, parse
from calibration.errors import CalibrationError, DccError
from calibration.events import Point
from calibration.instruments import Range

NAMESPACE = "https://ptb.de/dcc"
VERSIONS = ("2.", "3.")
_EXAMPLE = ("not a real certificate", "kein echtes zertifikat", "it is invalid")
_BEFORE = frozenset({"beforeAdjustment", "beforeRepair"})
_SAME_DIFFERENCE = frozenset({"K", "degC"})
_REFERENCE, _NOMINAL = ("basic_referenceValue",), ("basic_nominalValue", "basic_calibrationValue")
_MEASURED, _ERROR = ("basic_measuredValue",), ("basic_measurementError",)


@dataclass(frozen=True, slots=True)
class Item:
    """One calibrated item.

    Attributes
    ----------
    id : str
        Of the element, by which results may refer to it; often empty.
    names : tuple of (language, text)
    serials : tuple of str
        As the manufacturer identifies it, what is marked as the serial number first.
    assets : tuple of str
        As the customer identifies it.
    """

    id: str
    names: tuple[tuple[str, str], ...]
    model: str
    serials: tuple[str, ...]
    assets: tuple[str, ...]

    def name(self, language: str) -> str:
        """Its name in a language ("zh", "en"), else the first there is."""
        return next((text for lang, text in self.names if lang == language), self.names[0][1] if self.names else "")


@dataclass(frozen=True, slots=True)
class Table:
    """Points of one table of results.

    Attributes
    ----------
    items : frozenset of str
        Ids of the items it is about; empty where the file does not say.
    before : bool
        Found before an adjustment or a repair.
    unit : str
        Of nominal, reference and indication.
    points : tuple of Point
    """

    items: frozenset[str]
    before: bool
    unit: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class DigitalCertificate:
    """What a DCC says.

    Attributes
    ----------
    recalibrate_by : date or None
        Last day as stated, by the customer as a rule.
    recalibrate_after_months : int or None
        The same as a period.
    conformity : str
        "pass", "fail", "conditionalPass", "conditionalFail", "noPass", "noFail", or empty.
    traceable : bool or None
        As stated.
    signed : bool
        It holds a signature, which is not verified here.
    """

    id: str
    version: str
    begun_on: date
    performed_on: date
    laboratory: str
    laboratory_code: str
    items: tuple[Item, ...]
    tables: tuple[Table, ...]
    recalibrate_by: date | None
    recalibrate_after_months: int | None
    conformity: str
    traceable: bool | None
    scope: Range | None
    methods: tuple[str, ...]
    standards: tuple[str, ...]
    signed: bool


def read_dcc(data: bytes, *, examples: bool = False) -> DigitalCertificate:
    """Read the bytes of a DCC.

    Parameters
    ----------
    data : bytes
        At most 16 MiB of XML.
    examples : bool
        Accept what calls itself no real certificate.

    Raises
    ------
    DccError
        Unsafe or damaged XML, another document, an unknown version, an example, or what cannot be read.
    """
    root, comments = parse(data)
    if (root.space, root.name) != (NAMESPACE, "digitalCalibrationCertificate"):
        raise DccError("certificate", f"a document {root.name!r}", "choose the DCC XML file")
    version = root.attributes.get("schemaVersion", "")
    if not version.startswith(VERSIONS):
        raise DccError("certificate", f"DCC version {version!r}", "versions 2 and 3 are understood")
    if not examples and _is_example([*comments, *_texts(root)]):
        raise DccError("certificate", "it says that it is not a real certificate", "examples are no evidence")
    core = root.first("administrativeData", "coreData")
    if core is None or not core.said("uniqueIdentifier"):
        raise DccError("certificate", "no core data or no identifier", "ask the laboratory for a complete file")
    by, months = _recalibration(root)
    return DigitalCertificate(
        core.said("uniqueIdentifier"), version, _day(core.said("beginPerformanceDate")),
        _day(core.said("endPerformanceDate") or core.said("beginPerformanceDate")),
        _first_text(root.first("administrativeData", "calibrationLaboratory", "contact", "name")),
        root.said("administrativeData", "calibrationLaboratory", "calibrationLaboratoryCode"),
        tuple(_item(node) for node in root.all("administrativeData", "items", "item")), tuple(_tables(root)),
        by, months,
        next((s.said("conformity") for s in _statements(root, "basic_conformity") if s.said("conformity")), ""),
        _flag(next((s.said("traceable") for s in _statements(root) if s.said("traceable")), "")), _scope(root),
        _distinct(node.said("norm") for node in root.all(*_RESULT, "usedMethods", "usedMethod")),
        _distinct(
            node.said("identifications", "identification", "value")
            for node in root.all(*_RESULT, "measuringEquipments", "measuringEquipment")
        ),
        root.first("Signature") is not None,
    )  # fmt: skip


_RESULT = ("measurementResults", "measurementResult")


def _is_example(texts: list[str]) -> bool:
    said = " ".join(" ".join(texts).lower().split())
    return any(marker in said for marker in _EXAMPLE)


def _texts(root: Node) -> Iterator[str]:
    for name in ("content", "comment"):
        for node in root.below(name):
            yield node.text[:10_000]


def _distinct(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise DccError("certificate", f"{text[:20]!r} where a day is expected", "ask for a correct file") from error


def _flag(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text)


def _first_text(node: Node | None) -> str:
    return "" if node is None else next((c.text for c in node.all("content")), node.text)


def _item(node: Node) -> Item:
    found: dict[str, list[str]] = {"manufacturer": [], "customer": []}
    for one in node.all("identifications", "identification"):
        value, issuer = one.said("value"), one.said("issuer")
        if value and issuer in found:
            place = 0 if one.is_a("basic_serialNumber") else len(found[issuer])
            found[issuer].insert(place, value)
    names = tuple((content.attributes.get("lang", ""), content.text) for content in node.all("name", "content"))
    return Item(
        node.attributes.get("id", ""), names, node.said("model"), tuple(found["manufacturer"]), tuple(found["customer"])
    )


def _statements(root: Node, kind: str | None = None) -> Iterator[Node]:
    for node in root.all("administrativeData", "statements", "statement"):
        if kind is None or node.is_a(kind):
            yield node


def _recalibration(root: Node) -> tuple[date | None, int | None]:
    """The stated last day, else the stated period in whole months (P1Y6M)."""
    for statement in _statements(root, "basic_recalibration"):
        if statement.said("date"):
            return _day(statement.said("date")), None
        months = _months(statement.said("period"))
        if months:
            return None, months
    return None, None


def _months(text: str) -> int | None:
    years, months, digits = 0, 0, ""
    for letter in text[1:] if text[:1] == "P" and len(text) < 12 else "?":
        if letter in "0123456789":
            digits += letter
        elif letter == "Y" and digits:
            years, digits = int(digits), ""
        elif letter == "M" and digits:
            months, digits = int(digits), ""
        else:
            return None
    whole = 12 * years + months
    return whole if not digits and 1 <= whole <= 600 else None


def _scope(root: Node) -> Range | None:
    for statement in _statements(root, "basic_validityRange"):
        ends = {
            kind: read_quantity(node)
            for node in statement.below("quantity")
            for kind in ("basic_validityRangeMin", "basic_validityRangeMax")
            if node.is_a(kind)
        }
        low, high = (in_unit(ends.get(f"basic_validityRange{end}", ()), None) for end in ("Min", "Max"))
        if low and high and low.unit == high.unit and low.values[0] < high.values[0]:
            return Range(low.values[0], high.values[0], low.unit)
    return None


def _tables(root: Node) -> Iterator[Table]:
    for result in root.all(*_RESULT):
        own = _references(result)
        for condition in result.all("influenceConditions", "influenceCondition"):
            if condition.said("status") in _BEFORE:
                yield from _tables_in(condition, own, before=True)
        for one in result.all("results", "result"):
            yield from _tables_in(one, own, before=False)


def _references(node: Node) -> frozenset[str]:
    return frozenset(node.attributes.get("refId", "").split())


def _tables_in(node: Node, items: frozenset[str], *, before: bool) -> Iterator[Table]:
    about = _references(node) or items
    for data in node.all("data"):
        loose = [child for child in data.children if child.name == "quantity"]
        for group in (loose, *([*part.all("quantity")] for part in _lists(data))):
            points, unit = _points(group)
            if points:
                yield Table(about, before, unit, points)


def _lists(data: Node) -> Iterator[Node]:
    """Every list that holds quantities itself, also one inside another."""
    waiting = [data]
    while waiting:
        for child in waiting.pop().children:
            if child.name == "list":
                waiting.append(child)
                if child.first("quantity") is not None:
                    yield child


def _points(quantities: list[Node]) -> tuple[tuple[Point, ...], str]:
    """Points of one table; none where it states no error and nothing one follows from."""
    error_node = next((q for q in quantities if q.is_a(*_ERROR)), None)
    error = None if error_node is None else in_unit(read_quantity(error_node), None)
    wanted = None if error is None else error.unit
    reference, nominal, measured = (_values(quantities, kinds, wanted) for kinds in (_REFERENCE, _NOMINAL, _MEASURED))
    if nominal is None:
        nominal = _calibration_values(quantities, wanted)
    if reference is not None and nominal is not None and nominal.unit != reference.unit:
        nominal = None
    at = nominal or reference or measured
    if at is None or (error is None and (reference is None or measured is None)):
        return (), ""
    count = len(at.values)
    for one in (reference, nominal, measured, error):
        if one is not None and len(one.values) != count:
            raise DccError(
                "certificate", f"columns of {count} and {len(one.values)} values", "ask for one row per point"
            )
    unit = _unit_of_error(error, at)
    limits = None if error_node is None or error is None else _limits(error_node, error.unit, count)
    source = error if error is not None and error.uncertainty else measured if error is None else None
    try:
        points = tuple(
            Point(
                at.values[n], None if reference is None else reference.values[n],
                None if measured is None or measured.unit != at.unit else measured.values[n],
                _error_at(error, measured, reference, n), unit,
                source.uncertainty[n] if source is not None and source.uncertainty else None,
                source.k[n] if source is not None and source.k else None, None if limits is None else limits[n],
            )
            for n in range(count)
        )  # fmt: skip
    except CalibrationError as error_of_point:
        raise DccError("certificate", str(error_of_point), "ask the laboratory for a correct file") from error_of_point
    return points, at.unit


def _error_at(error: Values | None, measured: Values | None, reference: Values | None, n: int) -> Decimal:
    if error is not None:
        return error.values[n]
    if measured is None or reference is None or measured.unit != reference.unit:
        raise DccError("certificate", "indication and reference in different units", "ask for one unit")
    return measured.values[n] - reference.values[n]


def _unit_of_error(error: Values | None, at: Values) -> str:
    """The empty text for an error in the unit of the readings, else "1" or "%" of them."""
    if error is None or error.unit == at.unit or {error.unit, at.unit} <= _SAME_DIFFERENCE:
        return ""
    if error.unit in ("1", "%"):
        return error.unit
    raise DccError(
        "certificate", f"errors in {error.unit} of readings in {at.unit}", "ask for one unit, or relative errors"
    )


def _values(quantities: list[Node], kinds: tuple[str, ...], unit: str | None) -> Values | None:
    node = next((q for q in quantities if q.is_a(*kinds)), None)
    return None if node is None else in_unit(read_quantity(node), unit)


def _calibration_values(quantities: list[Node], unit: str | None) -> Values | None:
    """Nominal values that stand in the meta data of another quantity."""
    for quantity in quantities:
        for meta in quantity.all("measurementMetaData", "metaData"):
            if meta.is_a(*_NOMINAL):
                for inner in meta.below("quantity"):
                    return in_unit(read_quantity(inner), unit)
    return None


def _limits(error_node: Node, unit: str, count: int) -> tuple[Decimal, ...] | None:
    """The tighter of the acceptance limits at each point, in the unit of the error; None where not stated."""
    found: list[tuple[Decimal, ...]] = []
    for meta in error_node.all("measurementMetaData", "metaData"):
        for quantity in meta.below("quantity"):
            if quantity.is_a("basic_acceptanceLimitLower", "basic_acceptanceLimitUpper"):
                read = in_unit(read_quantity(quantity), unit)
                if read is None or read.unit != unit or len(read.values) not in (1, count):
                    return None
                values = read.values * count if len(read.values) == 1 else read.values
                found.append(tuple(abs(value) for value in values))
    return tuple(min(each) for each in zip(*found, strict=True)) if found else None
