from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.encoding import FIELDS, decode_record, encode_record
from calibration.errors import CalibrationError
from calibration.events import Event, Known, Point, What
from calibration.evidence import Document, Kind
from calibration.instruments import Chain, Instrument, Level, Member, Mpe, Part, Range, Step, Use
from calibration.intervals import Interval
from protocols.plan.model import Regime
from protocols.wire.cbor import encode
from tests.calibration.happenings import STATED, happened, histories, percent

D = Decimal
WHOLE = happened(
    "c-1", "2024-01-31", What.CALIBRATION, at_ms=1_706_700_000_000, valid_until=date(2025, 1, 30),
    interval=Interval(months=12),
    as_found=(percent("100", "1.50", uncertainty=D("0.1"), k=D(2), limit=D(1)),),
    as_left=(Point(D(5), D(5), D("5.1")),),
    document=Document(Kind.CALIBRATION, "No. 1", "a laboratory", "CNAS L0001", "JJF 1", date(2024, 2, 1), "1",
                      Range(D(0), D(100), "m3/h"), False, date(2024, 6, 1), "0" * 64),
    uncertainty=STATED, requirements=frozenset({"b", "a"}), basis="b", approver="p", reason="r", official=True,
    supersedes="c-0", note="一",
)  # fmt: skip
METER = Instrument(
    "m", "A-1", Regime.FIRST_ONLY, "list", "表", "meter", "M", "a maker", "1",
    Mpe(D("0.10"), D(1), D(2), D(50), (Step(D(1), D(2)),), D(2)),
    Range(D(0), D(100), "m3/h"), "fm-us", frozenset({Use.TRADE, Use.SAFETY}), Level.EQUIPMENT, "hall", "a grid company",
)  # fmt: skip
CHAIN = Chain("c", (Member(Part.METER, "m", 5, 9), Member(Part.CURRENT_TRANSFORMER, "ct")))


def test_every_field_has_its_key() -> None:
    """A field added without one would silently be lost."""
    for type_, names in FIELDS.items():
        assert set(names) == {field.name for field in dataclasses.fields(type_)}
        assert len(names) == len(set(names))
        assert set(names) <= set(get_type_hints(type_))


@pytest.mark.parametrize("record", [WHOLE, METER, CHAIN])
def test_a_record_comes_back_as_it_was(record: Event | Instrument | Chain) -> None:
    """With every field set, to the last digit of a decimal."""
    back = decode_record(encode_record(record))

    assert record == back
    assert encode_record(record) == encode_record(back)


def test_the_bytes_stay_what_they_are() -> None:
    """Another byte would be another digest in the leaf of a log."""
    assert (
        "a7000101010262763103656d657465720463412d3105646d6f7665066a323032342d30312d3331"
        == encode_record(happened("v1", "2024-01-31", What.MOVE)).hex()
    )
    assert "a4000101030261630382a401656d6574657202616d03050409a20162637402626374" == encode_record(CHAIN).hex()


@settings(max_examples=60, deadline=None)
@given(histories())
def test_any_history_survives_its_bytes(events: list[Known]) -> None:
    """Event by event, and equal events have equal bytes."""
    for event, _ in events:
        assert event == decode_record(encode_record(event))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 300))
def test_damaged_bytes_are_refused_or_are_another_record(put: bytes, place: int) -> None:
    """Never an error of another kind, and never a record whose bytes are others."""
    data = encode_record(WHOLE)
    damaged = data[:place] + put + data[place + len(put) :]
    try:
        record = decode_record(damaged)
    except CalibrationError:
        return

    assert damaged == encode_record(record)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({0: 2, 1: 1}, "no record of version 1"),
        ({0: 1, 1: 9}, "no record of version 1"),
        ([], "no record of version 1"),
        ({0: 1, 1: 1, 99: "x"}, "unknown keys in event"),
        ({0: 1, 1: 1, 2: "v"}, "instrument"),
        ({0: 1, 1: 3, 2: "c", 3: [5]}, "unknown keys in member"),
        ({0: 1, 1: 3, 2: "c", 3: []}, "no members"),
        ({0: 1, 1: 1, 2: "v", 3: "m", 4: "A", 5: "move"}, "no time"),
        ({0: 1, 1: 1, 2: "v", 3: "m", 4: "A", 5: "move", 6: "2024-01-31", 22 - 1: ""}, "canonical"),
        ({0: 1, 1: 1, 2: "v", 3: "m", 4: "A", 5: "dance", 6: "2024-01-31"}, "what"),
    ],
)
def test_bytes_of_no_sensible_record_are_refused(value: Any, said: str) -> None:
    """With what is wrong: version, kind, keys, missing fields, sense, or a default written out."""
    with pytest.raises(CalibrationError, match=said):
        decode_record(encode(value))
