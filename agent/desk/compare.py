"""The newest value of a point against what was read beside the meter, with the transformer ratios of its instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from agent.desk.asks import DeskError
from agent.desk.commissioning import Check, check_clamp, check_clock, check_display, check_phases
from agent.desk.forms import number
from protocols.plan.bound import BoundPlan
from protocols.plan.ratios import unit_ratio


def compare(
    bound: BoundPlan, values: Sequence[Mapping[str, Any]], instrument: str, point: str, display: str, clamp: str
) -> list[Check]:
    """The checks of a point.

    Parameters
    ----------
    values : sequence of mapping
        As the desk tells them: ``point`` and ``value``, what the register holds.
    display, clamp : str
        Primary values in the register's unit; empty where not read.

    Raises
    ------
    DeskError
        The instrument has no such point, it has no value now, or what was read is no number.
    """
    own = [one for one in bound.points if bound.plan.instruments[one.instrument].id == instrument]
    chosen = next((one for one in own if one.id == point), None)
    if chosen is None:
        hint = f"name one of: {', '.join(one.id for one in own)}" if own else "name an instrument of the plan"
        zh = f"监测计划中 {instrument} 没有测点“{point}”。"
        raise DeskError(f"point '{point}' of {instrument}", "the plan has no such point", hint, zh=zh)
    newest = next((row["value"] for row in values if row["point"] == point), None)
    if newest is None:
        hint = "start the agent, and look at 'emitrace-agent watch'"
        raise DeskError(f"point {point}", "has no value now", hint, zh=f"测点 {point} 目前没有数值。请看“实时值”页。")
    meter = bound.plan.instruments[chosen.instrument]
    transformers = meter.ct_ratio * meter.pt_ratio
    register = chosen.register
    applied = unit_ratio(meter, register) / register.quantity.definition.units[register.unit]
    primary = Decimal(newest) * Decimal(applied.numerator) / Decimal(applied.denominator)
    checks = [check_display(primary, number("display", display), transformers)] if display else []
    return checks + ([check_clamp(primary, number("clamp", clamp), transformers)] if clamp else [])


def compare_phases(meter: str, clamp: str) -> Check:
    """Three phases of each, as a person writes them."""
    return check_phases(_three(meter), _three(clamp))


def compare_clock(text: str, zone: str, now_ms: int) -> Check:
    """The meter's own clock as a person reads it, in the facility's zone where it names none."""
    try:
        shown = datetime.fromisoformat(text.strip())
    except ValueError:
        zh = f"电表时钟“{text}”不是时间。请写成 2026-03-31 14:05:00。"
        raise DeskError("meter clock", f"'{text}' is no time", "write it as 2026-03-31 14:05:00", zh=zh) from None
    aware = shown if shown.tzinfo is not None else shown.replace(tzinfo=ZoneInfo(zone))
    return check_clock(round(aware.timestamp() * 1000), now_ms)


def _three(text: str) -> list[float]:
    found = [float(number("phases", part)) for part in text.split(",")]
    if len(found) != 3:
        zh = f"三相“{text}”不对。请写三个数，如 10,11,9。"
        raise DeskError("phases", f"'{text}'", "give three numbers, such as 10,11,9", zh=zh)
    return found
