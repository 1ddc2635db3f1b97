"""Instruments and events for tests, with as little to write as possible, and histories drawn at random."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from calibration.events import Event, Known, Point, What
from calibration.evidence import Document, Kind, Result, Uncertainty
from calibration.instruments import Instrument, Mpe
from calibration.intervals import Interval
from calibration.requirements import Requirement
from protocols.plan.model import Regime
from tests.calibration.records import at

YEARLY = Requirement("yearly", interval=Interval(months=12))
CLASS_1 = Mpe(percent_of_reading=Decimal(1))
STATED = Uncertainty(Decimal("0.1"), Decimal(2), "%")


def meter(regime: Regime = Regime.USER_DEFINED, **changed: Any) -> Instrument:
    """The instrument all of these events are about."""
    return Instrument(**{"id": "meter", "serial": "A-1", "regime": regime, "mpe": CLASS_1, **changed})


def happened(name: str, day: str | None, what: What = What.VERIFICATION, **changed: Any) -> Event:
    """An event of that id and day; a passed verification where nothing else is said."""
    fields: dict[str, Any] = {"id": name, "instrument": "meter", "serial": "A-1", "what": what}
    if day is not None:
        fields["performed_on"] = date.fromisoformat(day)
    if what is What.VERIFICATION:
        fields |= {"result": Result.PASS, "document": Document(Kind.VERIFICATION, f"No. {name}")}
    if what is What.CALIBRATION:
        fields |= {"result": Result.PASS, "document": Document(Kind.CALIBRATION, f"No. {name}"), "uncertainty": STATED}
    return Event(**(fields | changed))


def failed(name: str, day: str, **changed: Any) -> Event:
    """A verification that was not passed."""
    fields: dict[str, Any] = {"result": Result.FAIL, "document": Document(Kind.REJECTION, f"No. {name}")}
    return happened(name, day, What.VERIFICATION, **(fields | changed))


def granted(name: str, day: str, until: str, what: What, **changed: Any) -> Event:
    """An exemption or extension."""
    return happened(
        name, day, what, valid_until=date.fromisoformat(until), basis="a reason", approver="a person", **changed
    )


def percent(nominal: str, error: str, **changed: Any) -> Point:
    """A test point with a relative error. [%]"""
    return Point(Decimal(nominal), error=Decimal(error), unit="%", **changed)


def known(*events: Event) -> list[Known]:
    """All known from the first leaf on."""
    return [(event, 1) for event in events]


DAYS = st.dates(date(2021, 1, 1), date(2022, 12, 31))
KNOWN_AT = st.none() | st.integers(0, 21)
SUBJECTS = st.sampled_from([meter(regime) for regime in Regime])
SPANS = st.tuples(st.integers(0, 900 * 24), st.integers(1, 2000)).map(
    lambda p: (at("2020-10-01") + p[0] * 3_600_000, at("2020-10-01") + (p[0] + p[1]) * 3_600_000)
)
REQUIREMENTS = st.sampled_from(
    [
        YEARLY,
        Requirement("short", interval=Interval(clock_hours=26), meets=frozenset({What.DRIFT_CHECK}), documented=False),
        Requirement("grace", interval=Interval(months=3), grace=Interval(operating_hours=168), lead_ms=86_400_000),
        Requirement("quarters", interval=Interval(quarters=2), grace=Interval(operating_hours=720)),
    ]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Known]:
    """Up to ten events of any kind, entered at any time and in any order."""
    found: list[Known] = []
    for place in range(draw(st.integers(0, 10))):
        name, day = f"e{place}", draw(DAYS)
        what = draw(st.sampled_from([*What, What.VERIFICATION, What.CALIBRATION, What.VERIFICATION]))
        changed: dict[str, Any] = {}
        if draw(st.booleans()):
            changed["supersedes"] = f"e{draw(st.integers(0, max(place - 1, 0)) | st.integers(10, 12))}"
        if changed.get("supersedes") == name:
            changed.pop("supersedes")
        if draw(st.integers(0, 9)) == 0:
            changed["serial"] = "B-2"
        if draw(st.booleans()):
            changed["at_ms"] = at(day.isoformat()) + draw(st.integers(0, 86_399_999))
        until = (day + timedelta(days=draw(st.integers(0, 400)))).isoformat()
        if what in (What.EXEMPTION, What.EXTENSION):
            changed["official"] = draw(st.booleans())
            event = granted(name, day.isoformat(), until, what, **changed)
        else:
            if what in (What.DRIFT_CHECK, What.IN_SERVICE_CHECK, What.LINEARITY_CHECK, What.RELATIVE_ACCURACY):
                changed["result"] = draw(st.sampled_from(Result))
            elif what in (What.VERIFICATION, What.CALIBRATION):
                changed |= draw(
                    st.sampled_from([{}, {"result": Result.FAIL}, {"valid_until": date.fromisoformat(until)}])
                )
                if draw(st.integers(0, 3)) == 0:
                    changed["as_found"] = (percent("100", draw(st.sampled_from(["0.5", "-2"]))),)
                    changed["as_left"] = (percent("100", "0.1"),)
            event = happened(name, day.isoformat(), what, **changed)
        found.append((event, draw(st.integers(1, 20))))
    return found
