"""Accuracy classes side by side with what table 4 of GB 17167 asks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from calibration.errors import CalibrationError
from calibration.instruments import Level
from calibration.provision.tables import AccuracyClass

_CLASS = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)(S?)")
_LADDER = tuple(Decimal(step) for step in ("0.1", "0.2", "0.5", "1", "2", "2.5", "3"))


def order(name: str) -> tuple[Decimal, int]:
    """Where a class stands: a smaller figure is better, and S (good at low load too) is better than the same without.

    Raises
    ------
    CalibrationError
        It is no class of this form.
    """
    found = _CLASS.fullmatch(name.strip().upper())
    if not found:
        raise CalibrationError("accuracy class", f"{name!r}", 'a figure such as "0.5" or "0.5S"')
    return Decimal(found[1]), 0 if found[2] else 1


def of_chain(classes: Iterable[str]) -> str:
    """The class of a sensor with its secondary instrument: the worst of them, for table 4 is about the whole chain."""
    return max(classes, key=order)


def good_enough(name: str, row: AccuracyClass, level: Level = Level.ORGANISATION) -> bool:
    """Whether a class does for a row of table 4; within the organisation electricity meters may be one class lower."""
    worst = order(row.worst)
    if level is not Level.ORGANISATION and row.id.startswith("ac-meter"):
        lower = next((step for step in _LADDER if step > worst[0]), worst[0])
        worst = (lower, 1)
    return order(name) <= worst
