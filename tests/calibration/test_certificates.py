from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.certificates import (
    Certificate,
    decode_certificate,
    doubts,
    encode_certificate,
    parse_certificates,
)
from calibration.errors import CertificateError
from calibration.evidence import Kind, Result
from protocols.errors import InputErrors
from protocols.plan.model import Regime
from protocols.wire.cbor import encode
from tests.calibration.records import certificate, failure, instrument

TEXT = """schema = 1

[[certificates]]
id = "em-1-2026"
instrument = "em-1"
serial = "4711"
kind = "verification-certificate"
number = "2026-0815"
laboratory = "Provincial institute of metrology"
regulation = "JJG 596-2012"
performed_on = 2026-01-10
valid_until = 2032-01-09
result = "pass"
class = "0.5S"

[[certificates]]
id = "gas-1-2026"
instrument = "gas-1"
serial = "0815"
kind = "calibration-certificate"
number = "C-77"
laboratory = "A calibration laboratory"
performed_on = 2026-02-01
interval_months = 24
result = "pass"
uncertainty = 0.30
uncertainty_unit = "%"
k = 2
"""


def test_a_file_is_read() -> None:
    """Each table becomes one record, its figures exact."""
    first, second = parse_certificates(TEXT, "certificates.toml")

    assert ("em-1-2026", Kind.VERIFICATION, date(2032, 1, 9), None) == (
        first.id, first.kind, first.valid_until, first.interval_months,
    )  # fmt: skip
    assert ("gas-1-2026", Result.PASS, 24, "0.30", Decimal(2)) == (
        second.id, second.result, second.interval_months, str(second.uncertainty), second.k,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('serial = "4711"', 'serail = "4711"', r"c.toml:6: certificates\[0\].serail: .*did you mean 'serial'"),
        ('"verification-certificate"', '"verifcation-certificate"', r"c.toml:7: .*did you mean 'verification-certif"),
        ("2026-01-10", '"10.1.2026"', r"c.toml:11: certificates\[0\].performed_on: \"10.1.2026\""),
        ("2026-01-10", "0026-01-10", r"c.toml:11: .*a year from 1950 to 2199"),
        ("valid_until = 2032-01-09", "", r"c.toml:3: certificates\[0\]: .*valid_until as printed, or interval_months"),
        ("2032-01-09", "2025-01-09", r"c.toml:3: .*valid_until 2025-01-09 is before performed_on 2026-01-10"),
        ('result = "pass"\nclass', 'result = "fail"\nclass', r"c.toml:3: .*a failure is a verification-result-notice"),
        ("k = 2", "", r"c.toml:16: certificates\[1\]: .*needs its k"),
        ("k = 2", 'document_sha256 = "ABC"', r"c.toml:28: .*64 hexadecimal digits"),
        ("k = 2", 'supersedes = "gas-1-2026"\nk = 2', r"c.toml:16: .*cannot supersede itself"),
        ("schema = 1", "schema = 2", r"c.toml:1: schema: 2"),
        (TEXT, "schema = 1", r"no \[\[certificates\]\] table"),
        (TEXT, "schema = ", r"c.toml:1: not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, said: str) -> None:
    """File, line, field, what was seen, what to do."""
    assert old in TEXT

    with pytest.raises(InputErrors) as caught:
        parse_certificates(TEXT.replace(old, new, 1), "c.toml")

    assert re.search(said, str(caught.value), re.DOTALL), str(caught.value)


@pytest.mark.parametrize("field", ["valid_until", "interval_months"])
def test_a_failure_has_no_validity(field: str) -> None:
    """A notice of a failed verification with an end date contradicts itself."""
    with pytest.raises(ValueError, match="a failed result has no validity"):
        failure("f", "2026-01-01", **{field: 12 if field == "interval_months" else date(2027, 1, 1)})


def test_a_notice_of_failure_cannot_pass() -> None:
    """The kind of the document says the result."""
    with pytest.raises(ValueError, match="a pass is a verification-certificate"):
        certificate("f", "2026-01-01", "2027-01-01", kind="verification-result-notice")


RECORDS = st.builds(
    lambda day, months, until, notes, u: certificate(
        "c", day.isoformat(), interval_months=months, note=notes, kind="calibration-certificate", uncertainty=u,
        uncertainty_unit="%", k=Decimal(2), valid_until=until,
    ),
    st.dates(date(1990, 1, 1), date(2050, 1, 1)),
    st.integers(1, 120),
    st.none() | st.dates(date(2050, 1, 2), date(2190, 1, 1)),
    st.text(max_size=50),
    st.none() | st.decimals("0.0001", "100", places=4),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_the_canonical_bytes_read_back(record: Certificate) -> None:
    """Record to bytes to the same record to the same bytes."""
    data = encode_certificate(record)

    assert record == decode_certificate(data)
    assert data == encode_certificate(decode_certificate(data))


def test_the_canonical_bytes_are_pinned() -> None:
    """The leaf in the log is a digest of these: they never change."""
    expected = {
        1: 1, 2: "c", 3: "meter", 4: "A-1", 5: "verification-certificate", 6: "No. c", 7: "a laboratory",
        9: "2026-01-10", 10: "2032-01-09", 12: "pass",
    }  # fmt: skip

    assert encode(expected) == encode_certificate(certificate("c", "2026-01-10", "2032-01-09"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({1: 2}, "no map of version 1"),
        ({99: "x"}, "unknown key 99"),
        ({12: "maybe"}, "result"),
        ({13: ""}, "canonical"),
        ({9: "2026-1-10"}, "performed_on"),
    ],
)
def test_bytes_that_are_no_certificate_are_refused(change: dict[int, object], said: str) -> None:
    """Strict on the way in: version, keys, values, one form."""
    fields: dict[int, object] = {
        1: 1, 2: "c", 3: "meter", 4: "A-1", 5: "verification-certificate", 6: "N", 7: "L", 9: "2026-01-10",
        10: "2032-01-09", 12: "pass",
    }  # fmt: skip
    assert "c" == decode_certificate(encode(fields)).id

    with pytest.raises(CertificateError, match=said):
        decode_certificate(encode(fields | change))


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xa0", b"\xa1\x01", b"\x80"])
def test_other_bytes_are_refused(data: bytes) -> None:
    """Truncated or other CBOR is an error of ours, never a crash."""
    with pytest.raises(CertificateError):
        decode_certificate(data)


def test_doubts_are_said_when_a_certificate_is_entered() -> None:
    """Unknown instrument, another serial, the wrong kind for the regime, no document: each is named."""
    sound = certificate("c", "2026-01-10", "2032-01-09", document_sha256="0" * 64)
    other = sound.model_copy(update={"serial": "B-2"})
    stray = sound.model_copy(update={"instrument": "nowhere"})
    calibrated = sound.model_copy(update={"kind": Kind.CALIBRATION})
    mandatory = instrument(Regime.MANDATORY_PERIODIC)

    assert () == doubts(sound, [mandatory])
    assert "serial 'B-2', but instrument meter has serial 'A-1'" in doubts(other, [mandatory])[0]
    assert "no instrument 'nowhere'" in doubts(stray, [mandatory])[0]
    assert (
        "gives no validity to instrument meter, whose regime is mandatory-periodic"
        in doubts(calibrated, [mandatory])[0]
    )
    assert "without uncertainty and k gives no validity" in doubts(calibrated, [instrument()])[0]
    stated = {"uncertainty": Decimal("0.1"), "uncertainty_unit": "%", "k": Decimal(2)}
    assert () == doubts(calibrated.model_copy(update=stated), [instrument()])
    assert "no document_sha256" in doubts(certificate("d", "2026-01-10", "2032-01-09"), [mandatory])[0]
