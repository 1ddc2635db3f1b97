"""Factor records for tests, with as little to write as possible."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from protocols.plan.model import FactorRecord, Text


def factor(
    name: str,
    value: str | Decimal,
    unit: str,
    state: Literal["0C", "15C", "20C"] | None = None,
    basis: Literal["NCV", "HHV"] | None = None,
) -> FactorRecord:
    """A factor record with that id."""
    return FactorRecord(
        id=name, name=Text(zh="因子", en="factor"), value=value, unit=unit, state=state, basis=basis,
        uncertainty_percent=Decimal(1), source="a test", valid_from=date(2024, 1, 1), confidence="unverified",
    )  # fmt: skip


def natural_gas(state: Literal["0C", "15C", "20C"] = "20C") -> list[FactorRecord]:
    """Carbon content chain of natural gas, published Chinese defaults."""
    return [
        factor("ncv", "389.31", "GJ/1e4m3", state, "NCV"),
        factor("carbon", "0.0153", "tC/GJ", basis="NCV"),
        factor("oxidised", "0.99", "1"),
        factor("carbon-to-co2", "44/12", "tCO2/tC"),
    ]
