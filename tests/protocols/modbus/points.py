"""Registers, bound points and requests made for tests of one value."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from protocols.modbus.registermap import Register
from protocols.plan.bound import BoundPoint
from protocols.plan.ratios import reference_of
from protocols.records import ReadRequest


def make_register(**keys: Any) -> Register:
    """A register of active energy, or as the keys say."""
    stated = {
        "name": "value",
        "quantity": "active_energy_import",
        "function": 3,
        "address": 0,
        "type": "u16",
        "unit": "kWh",
    }
    return Register.model_validate({**stated, **keys})


def make_point(register: Register, ratio: Fraction = Fraction(1), **keys: Any) -> BoundPoint:
    """A bound point of a register."""
    stated: dict[str, Any] = {
        "id": "point",
        "instrument": 0,
        "register": register,
        "quantity": register.quantity,
        "kind": register.quantity.definition.kind,
        "reference": reference_of(register),
        "scan_class": 0,
        "interval_ms": 1000,
        "hold_ms": 2000,
        "ratio": ratio,
        "modulus": None,
        "resolution": Fraction(0),
        "max_per_hour": None,
        "mpe_percent_of_reading": 0.0,
        "mpe_absolute": 0.0,
        "repeatability_percent": 0.0,
    }
    return BoundPoint(**{**stated, **keys})


def make_request(offsets: tuple[int, ...], widths: tuple[int, ...], count: int) -> ReadRequest:
    """A request of that many registers."""
    return ReadRequest(0, 1, 3, 0, count, 0, tuple(range(len(offsets))), offsets, widths)
