"""Reading schemes: types of instruments with their longest intervals, and checks with their limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from calibration.days import HOUR_MS
from calibration.errors import CalibrationError
from calibration.events import TESTS, What
from calibration.intervals import Interval
from calibration.late import Policy
from calibration.requirements import DEFAULT_LEAD_MS, Onset, Requirement
from protocols.plan.model import Identifier, Model, NonNegativeDecimal, Regime
from protocols.toml import parse_toml, validate

SHIPPED = ("jjg", "hj75", "part75", "canada-co2", "late-rules")
"""Schemes that come with the program."""

_HUNDRED = Decimal(100)
R = TypeVar("R")

Months = Annotated[int, Field(ge=1, le=600, strict=True)]
Hours = Annotated[int, Field(ge=1, le=100_000, strict=True)]
Words = Annotated[str, Field(min_length=1, max_length=512)]


class Confidence(Enum):
    """How sure a record is of its figures."""

    SEEN = "seen"
    SECONDARY = "secondary"
    UNVERIFIED = "unverified"


CAUTION = {
    Confidence.SEEN: ("", ""),
    Confidence.SECONDARY: (
        "该数值来自二手资料或旧版本，请核对现行规程。",
        "From a secondary text or an older edition: check the regulation in force.",
    ),
    Confidence.UNVERIFIED: (
        "该数值未经核实，仅为可修改的默认值，请核对规程原文。",
        "Unverified, an editable default only: check the text of the regulation.",
    ),
}
"""What has to stand beside a figure, in Chinese and English."""


class Record(Model):
    """What every record of a scheme says of itself."""

    id: Identifier
    zh: Words
    en: Words
    confidence: Confidence
    source: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _names_where_it_was_seen(self) -> Record:
        if self.confidence is Confidence.SEEN and not self.source:
            raise ValueError("a figure that was seen has a source")
        return self

    def caution(self, language: str) -> str:
        """What has to stand beside the figure; empty where it was seen."""
        return CAUTION[self.confidence][0 if language.startswith("zh") else 1]


class InstrumentType(Record):
    """A type of instrument with its regulation and its longest interval."""

    regulation: Words
    edition: str = ""
    months: Months
    condition: str = ""
    after: Literal["reverify", "recalibrate", "replace"]
    classes: tuple[str, ...] = ()
    mpe: str = ""

    def requirement(self, regime: Regime, own_months: int | None = None) -> Requirement:
        """Traceability of an instrument of this type.

        Parameters
        ----------
        regime : Regime
            The regulation's interval caps that of a mandatory instrument; it is a default for any other.
        own_months : int or None
            The site's own interval.

        Raises
        ------
        CalibrationError
            It is longer than the regulation allows a mandatory instrument.
        """
        capped = regime is not Regime.USER_DEFINED
        return Requirement(
            "traceability", interval=Interval(months=own_months or self.months),
            cap_months=self.months if capped else None, zh=f"{self.zh}（{self.regulation}）",
            en=f"{self.en} ({self.regulation})",
        )  # fmt: skip


class Limit(Model):
    """How far off a check may be: the greatest of its parts counts."""

    absolute: NonNegativeDecimal | None = None
    percent_of_span: NonNegativeDecimal | None = None
    percent_of_reading: NonNegativeDecimal | None = None
    unit: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Limit:
        if self.absolute is self.percent_of_span is self.percent_of_reading is None:
            raise ValueError("no limit: give absolute, percent_of_span or percent_of_reading")
        if self.absolute is not None and not self.unit:
            raise ValueError("an absolute limit needs its unit")
        return self

    def at(self, reference: Decimal, span: Decimal) -> Decimal:
        """Half-width of the limit. [unit of the reading]"""
        parts = [Decimal(0) if self.absolute is None else self.absolute]
        if self.percent_of_span is not None:
            parts.append(self.percent_of_span * span / _HUNDRED)
        if self.percent_of_reading is not None:
            parts.append(self.percent_of_reading * abs(reference) / _HUNDRED)
        return max(parts)


class Verdict(Enum):
    """What a check shows."""

    WITHIN = "within"
    ADJUST = "adjust"
    OUT_OF_CONTROL = "out-of-control"


class Check(Record):
    """A test of a monitor that comes back, with its limits where they are known."""

    applies_to: Words
    test: What
    months: Months | None = None
    clock_hours: Hours | None = None
    operating_hours: Hours | None = None
    quarters: Annotated[int, Field(ge=1, le=20, strict=True)] | None = None
    grace_operating_hours: Hours | None = None
    lead_hours: Hours | None = None
    onset: Onset
    limit: Limit | None = None
    out_of_control_zero: Limit | None = None
    out_of_control_span: Limit | None = None

    @model_validator(mode="after")
    def _comes_back(self) -> Check:
        if self.test not in TESTS:
            raise ValueError(f"test: one of {', '.join(sorted(t.value for t in TESTS))}")
        if self.months is self.clock_hours is self.operating_hours is self.quarters is None:
            raise ValueError("no interval: give months, clock_hours, operating_hours or quarters")
        return self

    @property
    def requirement(self) -> Requirement:
        """The check as what a monitor has to pass."""
        grace = self.grace_operating_hours
        return Requirement(
            self.id, meets=frozenset({self.test}), breaks=frozenset(),
            interval=Interval(self.months, self.clock_hours, self.operating_hours, self.quarters),
            grace=None if grace is None else Interval(operating_hours=grace),
            lead_ms=DEFAULT_LEAD_MS if self.lead_hours is None else self.lead_hours * HOUR_MS,
            onset=self.onset, documented=False, zh=self.zh, en=self.en,
        )  # fmt: skip

    def verdict(self, zero: Decimal | None, span: Decimal | None, full_scale: Decimal, span_gas: Decimal) -> Verdict:
        """What a zero and a span error show.

        Parameters
        ----------
        zero, span : Decimal or None
            Reading less reference; None where not tested. [unit of the reading]
        full_scale : Decimal
            The span percentages refer to. [unit of the reading]
        span_gas : Decimal
            Reference of the span check. [unit of the reading]

        Raises
        ------
        CalibrationError
            The scheme gives no limits for this check.
        """
        if self.limit is None:
            raise CalibrationError(
                f"check {self.id}", "no limits in this scheme", "enter the result of the test instead"
            )
        found = Verdict.WITHIN
        for error, reference, control in (
            (zero, Decimal(0), self.out_of_control_zero),
            (span, span_gas, self.out_of_control_span),
        ):
            if error is None or abs(error) <= self.limit.at(reference, full_scale):
                continue
            if control is None or abs(error) > control.at(reference, full_scale):
                return Verdict.OUT_OF_CONTROL
            found = Verdict.ADJUST
        return found


class LateRule(Record):
    """What one scheme makes of readings behind a late or failed test; without a policy a person decides."""

    scheme: Words
    situation: Literal["late-within", "late-outside", "outside", "postponed", "exempt", "replaced"]
    policy: Policy | None = None


class SchemeFile(Model):
    """A scheme's file."""

    schema_version: Literal[1] = Field(alias="schema")
    id: Identifier
    version: Words
    zh: Words
    en: Words
    source: Words
    valid_from: date | None = None
    valid_to: date | None = None
    types: tuple[InstrumentType, ...] = ()
    checks: tuple[Check, ...] = ()
    late: tuple[LateRule, ...] = ()

    @model_validator(mode="after")
    def _names_each_once(self) -> SchemeFile:
        for group in (self.types, self.checks, self.late):
            names = [one.id for one in group]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{', '.join(twice)} stands there twice")
        if not self.types and not self.checks and not self.late:
            raise ValueError("neither [[types]] nor [[checks]] nor [[late]]")
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError("it ends before it begins")
        return self


@dataclass(frozen=True, slots=True)
class Scheme:
    """One dated scheme."""

    id: str
    version: str
    zh: str
    en: str
    source: str
    valid_from: date | None
    valid_to: date | None
    types: Mapping[str, InstrumentType]
    checks: Mapping[str, Check]
    late: Mapping[str, LateRule]

    def in_force(self, day: date) -> bool:
        """Whether the scheme holds on a day; both ends count."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)

    def type_of(self, name: str) -> InstrumentType:
        """A type by its id; CalibrationError names the nearest where there is none."""
        return _named(self.types, name, f"scheme {self.id}")

    def check(self, name: str) -> Check:
        """A check by its id; CalibrationError names those there are where there is none."""
        return _named(self.checks, name, f"scheme {self.id}")


def parse_scheme(text: str, file: str) -> Scheme:
    """A scheme of a TOML text.

    Raises
    ------
    InputErrors
        All problems; each names file, line, field, what was seen and what is expected.
    """
    found = validate(parse_toml(text, file), SchemeFile)
    return Scheme(
        found.id, found.version, found.zh, found.en, found.source, found.valid_from, found.valid_to,
        MappingProxyType({one.id: one for one in found.types}),
        MappingProxyType({one.id: one for one in found.checks}),
        MappingProxyType({one.id: one for one in found.late}),
    )  # fmt: skip


@cache
def scheme(name: str) -> Scheme:
    """A shipped scheme.

    Raises
    ------
    CalibrationError
        There is none of that name.
    """
    if name not in SHIPPED:
        raise CalibrationError(f"scheme {name!r}", "not shipped", f"one of {', '.join(SHIPPED)}, or a file of your own")
    file = f"{name}.toml"
    return parse_scheme(files("calibration.schemes").joinpath(file).read_text(encoding="utf-8"), file)


def _named(records: Mapping[str, R], name: str, subject: str) -> R:
    if name not in records:
        raise CalibrationError(subject, f"no {name!r}", f"one of {', '.join(records)}")
    return records[name]
