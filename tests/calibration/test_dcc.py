from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.checks import examine
from calibration.dcc.importing import import_dcc
from calibration.dcc.quantities import plain_unit
from calibration.dcc.reading import DigitalCertificate, read_dcc
from calibration.dcc.tree import DEEPEST, LARGEST_BYTES
from calibration.errors import DccError
from calibration.events import Point
from calibration.evidence import Kind, Result
from calibration.instruments import Instrument, Mpe, Range
from calibration.intervals import Interval
from calibration.requirements import TRACEABILITY
from calibration.status import State, timeline
from protocols.plan.model import Regime
from tests.calibration.records import ZONE, at

D = Decimal
FIXTURE = (Path(__file__).parent / "data" / "dcc_energy_meter_33.xml").read_bytes()
METER = Instrument("em-1", "SN-000123", Regime.USER_DEFINED, mpe=Mpe(percent_of_reading=D("0.5")))

ITEM = """<dcc:item id="{id}"><dcc:name><dcc:content lang="de">Messumformer</dcc:content>
<dcc:content lang="en">Transmitter</dcc:content><dcc:content lang="zh">变送器</dcc:content></dcc:name>
<dcc:identifications><dcc:identification><dcc:issuer>calibrationLaboratory</dcc:issuer><dcc:value>L-9</dcc:value>
</dcc:identification><dcc:identification><dcc:issuer>manufacturer</dcc:issuer><dcc:value>{serial}</dcc:value>
</dcc:identification></dcc:identifications></dcc:item>"""

RESULT = """<dcc:measurementResult {about}><dcc:influenceConditions>{before}</dcc:influenceConditions>
<dcc:results><dcc:result><dcc:data>{data}</dcc:data></dcc:result></dcc:results></dcc:measurementResult>"""


def dcc(
    data: str = "",
    *,
    version: str = "3.1.2",
    items: str = "",
    statements: str = "",
    results: str = "",
    before: str = "",
) -> bytes:
    """A certificate with these parts, of a transmitter T-1 where no items are given."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<?xml-stylesheet type="text/xsl" href="dcc.xsl"?>
<dcc:digitalCalibrationCertificate xmlns:dcc="https://ptb.de/dcc" xmlns:si="https://ptb.de/si"
 schemaVersion="{version}">
<dcc:administrativeData><dcc:coreData><dcc:uniqueIdentifier>C-1</dcc:uniqueIdentifier>
<dcc:beginPerformanceDate>2024-01-30</dcc:beginPerformanceDate><dcc:endPerformanceDate>2024-01-31</dcc:endPerformanceDate>
</dcc:coreData><dcc:items>{items or ITEM.format(id="a", serial="T-1")}</dcc:items>
<dcc:calibrationLaboratory><dcc:contact><dcc:name><dcc:content>a laboratory</dcc:content></dcc:name></dcc:contact>
</dcc:calibrationLaboratory><dcc:statements>{statements}</dcc:statements></dcc:administrativeData>
<dcc:measurementResults>{results or RESULT.format(about="", before=before, data=data)}</dcc:measurementResults>
</dcc:digitalCalibrationCertificate>""".encode()


def quantity(kind: str, inside: str) -> str:
    """A quantity with that ``refType`` among others."""
    return f'<dcc:quantity refType="gp_column {kind} other">{inside}</dcc:quantity>'


def xml_list(values: str, unit: str, extra: str = "") -> str:
    """Values as an XML list."""
    return (
        f"<si:realListXMLList><si:valueXMLList>{values}</si:valueXMLList><si:unitXMLList>{unit}</si:unitXMLList>"
        f"{extra}</si:realListXMLList>"
    )


def real(value: str, unit: str, extra: str = "") -> str:
    """One value."""
    return f"<si:real><si:value>{value}</si:value><si:unit>{unit}</si:unit>{extra}</si:real>"


OLD = (
    "<si:expandedUncXMLList><si:uncertaintyXMLList>{u}</si:uncertaintyXMLList>"
    "<si:coverageFactorXMLList>2</si:coverageFactorXMLList></si:expandedUncXMLList>"
)
NEW = (
    "<si:measurementUncertaintyUnivariateXMLList><si:expandedMUXMLList><si:valueExpandedMUXMLList>{u}</si:valueExpandedMUXMLList>"
    "<si:coverageFactorXMLList>2</si:coverageFactorXMLList></si:expandedMUXMLList></si:measurementUncertaintyUnivariateXMLList>"
)
OLD_ONE = (
    "<si:expandedUnc><si:uncertainty>{u}</si:uncertainty><si:coverageFactor>2</si:coverageFactor></si:expandedUnc>"
)
NEW_ONE = (
    "<si:measurementUncertaintyUnivariate><si:expandedMU><si:valueExpandedMU>{u}</si:valueExpandedMU>"
    "<si:coverageFactor>2</si:coverageFactor></si:expandedMU></si:measurementUncertaintyUnivariate>"
)
INTERVAL_ONE = "<si:coverageInterval><si:standardUnc>{u}</si:standardUnc></si:coverageInterval>"
STANDARD = (
    "<si:measurementUncertaintyUnivariateXMLList><si:standardMUXMLList><si:valueStandardMUXMLList>{u}</si:valueStandardMUXMLList>"
    "</si:standardMUXMLList></si:measurementUncertaintyUnivariateXMLList>"
)
REFERENCE = quantity("basic_referenceValue", xml_list("10 20", r"\pascal"))
TRANSMITTER = Instrument("t-1", "T-1", Regime.USER_DEFINED, mpe=Mpe(percent_of_span=D(1), span=D(100)))


def points(data: str, **more: str) -> tuple[Point, ...]:
    """Points of the first table."""
    return read_dcc(dcc(f"<dcc:list>{data}</dcc:list>", **more)).tables[0].points


def test_a_certificate_of_the_present_form_becomes_an_event() -> None:
    """DCC 3.3 with D-SI 2.2: dates, laboratory, statements, relative errors, one U for all points."""
    found = import_dcc(FIXTURE, [METER])
    (event,) = found.events

    assert ((), hashlib.sha256(FIXTURE).hexdigest()) == (found.unmatched, found.sha256)
    assert (date(2025, 3, 11), date(2031, 3, 10), Result.PASS) == (event.performed_on, event.valid_until, event.result)
    assert [(D("0.25"), D("0.0021"), "1"), (D(5), D("-0.0008"), "1"), (D(50), D("0.0012"), "1")] == [
        (p.nominal, p.error, p.unit) for p in event.as_found
    ]
    assert {(D("0.0010"), D(2))} == {(p.uncertainty, p.k) for p in event.as_found}
    assert event.document is not None
    assert (Kind.CALIBRATION, "FIXTURE-CERT-0001", "Example Lab", "LAB-CODE-X", found.sha256) == (
        event.document.kind, event.document.number, event.document.laboratory, event.document.authorization,
        event.document.sha256,
    )  # fmt: skip
    assert () == examine(event, METER, TRACEABILITY)
    assert State.IN_INTERVAL is timeline(METER, None, [(event, 1)], ZONE).at(at("2030-01-01")).state


def test_names_are_shown_in_the_language_asked_for_and_never_matched() -> None:
    """The first one where there is none."""
    item = read_dcc(FIXTURE).items[0]

    assert ("三相电能表", "Three-phase static energy meter") == (item.name("zh"), item.name("fr"))
    other = read_dcc(dcc()).items[0]
    assert ("变送器", "Messumformer") == (other.name("zh"), other.name("fr"))
    assert (("SN-000123",), ("ASSET-77",)) == (item.serials, item.assets)


@pytest.mark.parametrize(
    ("version", "extra", "expected"),
    [
        ("2.4.0", OLD.format(u="0.4"), [("0.4", "2")] * 2),
        ("3.1.1", OLD.format(u="0.4 0.6"), [("0.4", "2"), ("0.6", "2")]),
        ("3.3.0", NEW.format(u="0.4"), [("0.4", "2")] * 2),
        ("3.3.0", NEW.format(u="0.4 0.6"), [("0.4", "2"), ("0.6", "2")]),
        ("3.3.0", STANDARD.format(u="0.2"), [("0.2", "1")] * 2),
    ],
)
def test_uncertainty_in_lists_from_d_si_1_3_to_2_2(version: str, extra: str, expected: list[tuple[str, str]]) -> None:
    """One token for all points, or one each; a standard uncertainty has k = 1."""
    found = points(
        REFERENCE + quantity("basic_measurementError", xml_list("0.1 -0.2", r"\pascal", extra)), version=version
    )

    assert [(D(u), D(k)) for u, k in expected] == [(p.uncertainty, p.k) for p in found]
    assert [(D(10), D("0.1"), ""), (D(20), D("-0.2"), "")] == [(p.reference, p.error, p.unit) for p in found]


@pytest.mark.parametrize(
    ("extra", "u", "k"), [(OLD_ONE, "0.4", 2), (NEW_ONE, "0.4", 2), (INTERVAL_ONE, "0.4", 1), ("", None, None)]
)
def test_single_values_and_lists_of_single_values(extra: str, u: str | None, k: int | None) -> None:
    """``si:real`` alone and inside ``si:list``, each with its own uncertainty or none."""
    one = real("0.1", r"\pascal", extra.format(u="0.4"))
    expected = [(D("0.1"), D(u) if u else None, D(k) if k else None)]
    alone = points(quantity("basic_nominalValue", real("10", r"\pascal")) + quantity("basic_measurementError", one))
    listed = points(REFERENCE + quantity("basic_measurementError", f"<si:list>{one}{one}</si:list>"))

    assert expected == [(p.error, p.uncertainty, p.k) for p in alone]
    assert expected * 2 == [(p.error, p.uncertainty, p.k) for p in listed]


def test_a_hybrid_is_read_in_the_unit_of_the_error() -> None:
    """The same values in kelvin and degrees Celsius; a difference is the same in both."""
    both = xml_list("306.2 373.1", r"\kelvin") + xml_list("33.05 99.95", r"\degreecelsius")
    hybrid = quantity("basic_referenceValue", f"<si:hybrid>{both}</si:hybrid>")
    celsius = quantity("basic_referenceValue", xml_list("33.05 99.95", r"\degreecelsius"))
    error = quantity("basic_measurementError", xml_list("0.1 0.3", r"\kelvin"))

    assert [(D("306.2"), ""), (D("373.1"), "")] == [(p.reference, p.unit) for p in points(hybrid + error)]
    assert [(D("33.05"), ""), (D("99.95"), "")] == [(p.reference, p.unit) for p in points(celsius + error)]


def test_without_an_error_it_follows_from_indication_and_reference() -> None:
    """And U is that of the indication."""
    found = points(REFERENCE + quantity("basic_measuredValue", xml_list("10.1 19.8", r"\pascal", OLD.format(u="0.3"))))

    assert [(D("0.1"), D("0.3")), (D("-0.2"), D("0.3"))] == [(p.error, p.uncertainty) for p in found]


def test_a_relative_uncertainty_counts_with_its_k_only() -> None:
    """A fraction of each value; without k it says nothing."""
    name = "dcc:relativeUncertainty"
    shape = f"<{name}><{name}XmlList>{{}}</{name}XmlList></{name}>"
    inner = r"<si:valueXMLList>0.02</si:valueXMLList><si:unitXMLList>\one</si:unitXMLList>"
    plain = xml_list("10.1 19.8", r"\pascal")

    with_k = points(REFERENCE + quantity("basic_measuredValue", plain + shape.format(inner + OLD.format(u="0.001"))))
    without = points(REFERENCE + quantity("basic_measuredValue", plain + shape.format(inner)))

    assert [(D("0.202"), D(2)), (D("0.396"), D(2))] == [(p.uncertainty, p.k) for p in with_k]
    assert [None, None] == [p.uncertainty for p in without]


def test_acceptance_limits_come_with_the_points() -> None:
    """The tighter one at each point; the verdict printed beside them is not believed."""
    limits = quantity("basic_acceptanceLimitLower", xml_list("-0.5 -0.5", r"\pascal")) + quantity(
        "basic_acceptanceLimitUpper", xml_list("0.4 0.6", r"\pascal")
    )
    meta = (
        '<dcc:measurementMetaData><dcc:metaData refType="basic_conformity">'
        "<dcc:conformityXMLList>pass</dcc:conformityXMLList>"
        f"<dcc:data><dcc:list>{limits}</dcc:list></dcc:data></dcc:metaData></dcc:measurementMetaData>"
    )
    error = quantity("basic_measurementError", xml_list("0.1 -0.7", r"\pascal") + meta)

    found = points(REFERENCE + error)

    assert [D("0.4"), D("0.5")] == [p.limit for p in found]
    assert [D("0.25"), D("1.4")] == [p.ratio(TRANSMITTER.mpe) for p in found]


def table(errors: str) -> str:
    """A list with errors of two points."""
    column = quantity("basic_measurementError", xml_list(errors, r"\pascal", OLD.format(u="0.1")))
    return f"<dcc:list>{REFERENCE}{column}</dcc:list>"


def test_an_adjusted_instrument_has_points_as_found_and_as_left() -> None:
    """As found stands among the influence conditions; what is no adjustment there is left out."""
    before = (
        f"<dcc:influenceCondition><dcc:status>beforeAdjustment</dcc:status><dcc:data>{table('1.5 0.1')}</dcc:data>"
        f"</dcc:influenceCondition><dcc:influenceCondition><dcc:data>{table('9 9')}</dcc:data></dcc:influenceCondition>"
    )
    (event,) = import_dcc(dcc(table("0.1 0.2"), before=before), [TRANSMITTER]).events

    assert [D("1.5"), D("0.1")] == [p.error for p in event.as_found]
    assert [D("0.1"), D("0.2")] == [p.error for p in event.as_left]


def test_several_items_are_matched_each_to_its_instrument() -> None:
    """Results that name an item are about it alone; an item of no known instrument is left for a person."""
    items = "".join(ITEM.format(id=i, serial=s) for i, s in (("a", "T-1"), ("b", "T-2"), ("c", "T-3")))
    results = RESULT.format(about='refId="a"', before="", data=table("0.1 0.1")) + RESULT.format(
        about='refId="b x"', before="", data=table("0.2 0.2")
    )
    known = [TRANSMITTER, Instrument("t-2", "T-2", Regime.USER_DEFINED)]

    found = import_dcc(dcc(items=items, results=results), known)

    assert [("t-1", D("0.1")), ("t-2", D("0.2"))] == [(e.instrument, e.as_found[0].error) for e in found.events]
    assert [("T-3",)] == [item.serials for item in found.unmatched]


def test_results_that_name_no_item_are_about_all_of_them() -> None:
    """As for a display with its sensor."""
    items = ITEM.format(id="a", serial="T-1") + ITEM.format(id="b", serial="T-2")
    known = [TRANSMITTER, Instrument("t-2", "T-2", Regime.USER_DEFINED)]

    assert [2, 2] == [len(e.as_found) for e in import_dcc(dcc(table("0.1 0.1"), items=items), known).events]


def test_two_instruments_of_one_serial_are_refused() -> None:
    """A certificate never goes to a guess."""
    twin = Instrument("t-9", "T-1", Regime.USER_DEFINED)

    with pytest.raises(DccError, match="that of 2 instruments"):
        import_dcc(dcc(table("0 0")), [TRANSMITTER, twin])


def test_a_period_and_a_range_may_be_stated() -> None:
    """P1Y6M is eighteen months; the range is the document's scope."""
    statements = (
        '<dcc:statement refType="x basic_recalibration"><dcc:period>P1Y6M</dcc:period></dcc:statement>'
        '<dcc:statement refType="basic_validityRange"><dcc:data>'
        + quantity("basic_validityRangeMin", real("0", r"\kilo\pascal"))
        + quantity("basic_validityRangeMax", real("100", r"\kilo\pascal"))
        + "</dcc:data></dcc:statement><dcc:statement><dcc:traceable>true</dcc:traceable></dcc:statement>"
    )
    found = import_dcc(dcc(table("0 0"), statements=statements), [TRANSMITTER])

    assert Interval(months=18) == found.events[0].interval
    assert Range(D(0), D(100), "kPa") == found.certificate.scope
    assert found.certificate.traceable is True


@pytest.mark.parametrize("period", ["P1W", "1Y", "PT5M", "P0M", "P", "P99999999Y", "PY"])
def test_a_period_of_another_form_is_left_out(period: str) -> None:
    """It gives no interval; the requirement's own then holds."""
    statement = f'<dcc:statement refType="basic_recalibration"><dcc:period>{period}</dcc:period></dcc:statement>'

    assert None is read_dcc(dcc(statements=statement)).recalibrate_after_months


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("pass", Result.PASS),
        ("fail", Result.FAIL),
        ("conditionalFail", Result.FAIL),
        ("conditionalPass", None),
        ("noPass", None),
    ],
)
def test_only_a_plain_pass_is_a_pass(said: str, expected: Result | None) -> None:
    """Anything conditional leaves it to the points."""
    statement = f'<dcc:statement refType="basic_conformity"><dcc:conformity>{said}</dcc:conformity></dcc:statement>'
    (event,) = import_dcc(dcc(table("0 0"), statements=statement), [TRANSMITTER]).events

    assert expected is event.result


def test_a_certificate_without_results_or_verdict_makes_no_event() -> None:
    """Its item is left for a person."""
    found = import_dcc(dcc(), [TRANSMITTER])

    assert ((), 1) == (found.events, len(found.unmatched))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\metre\tothe{3}\per\hour", "m3/h"),
        (r"\kilo\watt\hour", "kW.h"),
        (r"\degreecelsius", "degC"),
        (r"\one", "1"),
        (r"\per\second", "1/s"),
        (r"\furlong", r"\furlong"),
        (r"\kilo", r"\kilo"),
        ("kWh", "kWh"),
        (r"\metre\tothe{-3}", r"\metre\tothe{-3}"),
    ],
)
def test_units_in_plain_letters(text: str, expected: str) -> None:
    """What is not known stays as it is."""
    assert expected == plain_unit(text)


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>"""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BOMB, "a document type"),
        (OUTSIDE, "a document type"),
        (b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><x/>', "a document type"),
        (b"<x" + b"><x" * DEEPEST + b">", "too deep"),
        (b" " * (LARGEST_BYTES + 1), "bytes"),
        (b"", "not XML"),
        (b"\xff\xfe\x00", "not XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><x/>', "not XML"),
        (b"<x/>", "a document 'x'"),
        (FIXTURE.replace(b"https://ptb.de/dcc", b"https://example.org/dcc"), "a document"),
        (FIXTURE.replace(b'"3.3.0"', b'"4.0.0"'), "version '4.0.0'"),
        (FIXTURE.replace(b"FIXTURE-CERT-0001", b""), "no identifier"),
        (FIXTURE.replace(b"2025-03-11", b"2025-13-11"), "where a day is expected"),
        (FIXTURE.replace(b"0.25 5 50", b"0.25 5"), "columns of"),
        (FIXTURE.replace(b"0.25 5 50", b"0.25 5 1e999"), "where a number"),
        (FIXTURE.replace(b"0.25 5 50", b"0.25 5 NaN"), "where a number"),
        (FIXTURE.replace(rb"\one", rb"\watt"), "errors in W of readings in A"),
        (FIXTURE.replace(b">0.0010<", b">0.0010 0.0010<"), "2 uncertainties for 3 values"),
        (FIXTURE.replace(b"Example Plant", b"This is not a real\n certificate."), "not a real certificate"),
        (FIXTURE.replace(b"Fictional meter", b"It is invalid"), "not a real certificate"),
    ],
)  # fmt: skip
def test_unsafe_damaged_or_unreal_certificates_are_refused(data: bytes, said: str) -> None:
    """With what was seen; nothing outside is ever opened."""
    with pytest.raises(DccError, match=said):
        read_dcc(data)


def test_an_example_may_be_read_as_one() -> None:
    """On request only."""
    data = FIXTURE.replace(b"Example Plant", b"This is not a real certificate.")

    assert "FIXTURE-CERT-0001" == read_dcc(data, examples=True).id


def test_a_signature_is_noticed() -> None:
    """It is not verified here, and says so by its name."""
    signed = FIXTURE.replace(
        b"</dcc:digitalCalibrationCertificate>",
        b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/></dcc:digitalCalibrationCertificate>',
    )

    assert (False, True) == (read_dcc(FIXTURE).signed, read_dcc(signed).signed)


def _read(data: bytes) -> DigitalCertificate | None:
    try:
        return import_dcc(data, [METER]).certificate
    except DccError:
        return None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(FIXTURE) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_damage_anywhere_is_refused_or_read_but_never_breaks(place: int, put: bytes, cut: int) -> None:
    """Bytes replaced, inserted or removed."""
    found = _read(FIXTURE[:place] + put + FIXTURE[place + cut :])

    assert found is None or found.version.startswith(("2.", "3."))


TOKENS = [
    b"0.25 5 50",
    b"0.0010",
    b"0.95",
    b"2025-03-11",
    b"2031-03-10",
    b"pass",
    b"basic_nominalValue",
    b"SN-000123",
    rb"\ampere",
]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TOKENS),
    st.text(st.characters(blacklist_characters="<&>", blacklist_categories=("Cs", "Cc")), max_size=30),
)
def test_any_text_in_a_field_is_refused_or_read_but_never_breaks(token: bytes, text: str) -> None:
    """Numbers, dates, verdicts, kinds, serials and units."""
    found = _read(FIXTURE.replace(token, text.encode()))

    assert found is None or "FIXTURE-CERT-0001" == found.id
