"""The tables of GB 17167 by edition; one whose tables nobody has entered yet says so and evaluates nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field, model_validator

from calibration.errors import CalibrationError
from calibration.instruments import Level
from calibration.schemes.catalogue import Record, Words
from protocols.plan.model import Model, NonNegativeDecimal
from protocols.toml import parse_toml, validate

SHIPPED = ("gb17167-2006", "gb17167-2025")
"""Editions that come with the program; the first is the one clause 7.6 of T/CIECCPA 002-2021 cites."""

NOT_ENTERED = (
    "本版表格尚未录入，不作评价；请由持有标准者录入。",
    "Not evaluated until the tables of this edition are entered by somebody who has the standard.",
)
"""What stands in place of a rate, in Chinese and English."""

SUPERSEDED = (
    "报告日期已在新版标准实施之后；第 7.6 条引用的是注日期版本，请确认适用版本。",
    "The report is later than the next edition came into force; clause 7.6 cites a dated one: confirm which applies.",
)
"""What stands beside an evaluation after an edition's end, in Chinese and English."""

Percent = Annotated[int, Field(ge=0, le=100, strict=True)]


class Rate(Model):
    """Least share of required points that have an instrument; None where nothing is required. [%]"""

    organisation: Percent | None = None
    secondary_unit: Percent | None = None
    equipment: Percent | None = None

    def at(self, level: Level) -> int | None:
        """The share at a level. [%]"""
        return {
            Level.ORGANISATION: self.organisation,
            Level.SECONDARY_UNIT: self.secondary_unit,
            Level.EQUIPMENT: self.equipment,
        }[level]


class Threshold(Model):
    """From how much on, in which unit: use in a year or power of a unit, rating of a piece of equipment."""

    value: NonNegativeDecimal
    unit: Words


class EnergyKind(Record):
    """One kind of energy: its rates (table 3) and thresholds (tables 1 and 2)."""

    rate: Rate
    secondary_unit_from: Threshold
    equipment_from: Threshold

    def threshold(self, level: Level) -> Threshold | None:
        """From how much on it has to be metered at a level; the organisation meters everything."""
        if level is Level.ORGANISATION:
            return None
        return self.secondary_unit_from if level is Level.SECONDARY_UNIT else self.equipment_from


class AccuracyClass(Record):
    """The worst class that still does for a kind of instrument (table 4)."""

    worst: Words


class Edition(Model):
    """One edition of the standard."""

    schema_version: Literal[1] = Field(alias="schema")
    edition: Words
    zh: Words
    en: Words
    issued: date
    in_force_from: date | None = None
    superseded_on: date | None = None
    entered: bool
    source: Words
    kinds: tuple[EnergyKind, ...] = ()
    classes: tuple[AccuracyClass, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Edition:
        if self.entered and not self.kinds:
            raise ValueError("entered, but no [[kinds]]")
        if not self.entered and (self.kinds or self.classes):
            raise ValueError("tables of an edition that is not entered; set entered = true")
        for group in (self.kinds, self.classes):
            names = [one.id for one in group]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{', '.join(twice)} stands there twice")
        return self

    def kind(self, name: str) -> EnergyKind:
        """A kind of energy; CalibrationError names those there are where there is none."""
        found = next((one for one in self.kinds if one.id == name), None)
        if found is None:
            raise CalibrationError(
                self.edition,
                f"no energy kind {name!r}",
                f"one of {', '.join(one.id for one in self.kinds) or 'none yet'}",
            )
        return found

    def accuracy(self, name: str) -> AccuracyClass:
        """A row of the accuracy table; CalibrationError names those there are where there is none."""
        found = next((one for one in self.classes if one.id == name), None)
        if found is None:
            raise CalibrationError(
                self.edition, f"no row {name!r} for accuracy", f"one of {', '.join(one.id for one in self.classes)}"
            )
        return found

    def notice(self, day: date, language: str) -> str:
        """What has to stand beside an evaluation of a day; empty where nothing has to."""
        place = 0 if language.startswith("zh") else 1
        if not self.entered:
            return NOT_ENTERED[place]
        return SUPERSEDED[place] if self.superseded_on is not None and day >= self.superseded_on else ""


def parse_edition(text: str, file: str) -> Edition:
    """An edition from TOML text; InputErrors with every problem and its line."""
    return validate(parse_toml(text, file), Edition)


@cache
def edition(name: str) -> Edition:
    """A shipped edition; CalibrationError where there is none of that name."""
    if name not in SHIPPED:
        raise CalibrationError(
            f"edition {name!r}", "not shipped", f"one of {', '.join(SHIPPED)}, or a file of your own"
        )
    file = f"{name}.toml"
    return parse_edition(files("calibration.provision").joinpath(file).read_text(encoding="utf-8"), file)


def electricity_user(kwh_a_month: Decimal | None, kva: Decimal | None, *, single_phase: bool = False) -> str:
    """Class of an electricity user, "i" to "v".

    Parameters
    ----------
    kwh_a_month : Decimal or None
        Average use. [kWh/month]
    kva : Decimal or None
        Capacity of its transformers or load. [kVA]
    single_phase : bool
        Billed single-phase.

    Notes
    -----
    I from 5 GWh a month or 10 MVA; II from 1 GWh or 2 MVA; III from 100 MWh or 315 kVA; IV below; V single-phase [1]_.

    References
    ----------
    .. [1] DL/T 448-2000 wording. Confidence: seen for I to IV, unverified for V.
    """
    if single_phase:
        return "v"
    if kwh_a_month is None and kva is None:
        raise CalibrationError("electricity user", "neither use nor capacity", "give one of them")
    use, capacity = kwh_a_month or Decimal(0), kva or Decimal(0)
    for name, least_use, least_capacity in (("i", 5_000_000, 10_000), ("ii", 1_000_000, 2_000), ("iii", 100_000, 315)):
        if use >= least_use or capacity >= least_capacity:
            return name
    return "iv"
