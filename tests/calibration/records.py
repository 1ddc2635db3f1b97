"""Certificates and instruments for tests, with as little to write as possible."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from calibration.certificates import Certificate
from protocols.plan.model import Accuracy, Instrument, Regime, Text

ZONE = "Asia/Shanghai"


def instrument(regime: Regime = Regime.USER_DEFINED, serial: str = "A-1") -> Instrument:
    """The meter all of these certificates are about."""
    return Instrument(
        id="meter", name=Text(zh="电表", en="meter"), serial=serial, map="sdm630", bus="line", unit=1, regime=regime,
        registers="primary", accuracy=Accuracy(),
    )  # fmt: skip


def certificate(name: str, performed_on: str, valid_until: str | date | None = None, **changed: Any) -> Certificate:
    """A verification certificate with that id, or what the changes make of it."""
    fields: dict[str, Any] = {
        "id": name, "instrument": "meter", "serial": "A-1", "kind": "verification-certificate", "number": f"No. {name}",
        "laboratory": "a laboratory", "performed_on": date.fromisoformat(performed_on), "result": "pass",
    }  # fmt: skip
    if valid_until is not None:
        fields["valid_until"] = valid_until if isinstance(valid_until, date) else date.fromisoformat(valid_until)
    return Certificate.model_validate(fields | changed)


def failure(name: str, performed_on: str, **changed: Any) -> Certificate:
    """A verification that was not passed."""
    return certificate(name, performed_on, **({"kind": "verification-result-notice", "result": "fail"} | changed))


def at(local: str, zone: str = ZONE) -> int:
    """UTC milliseconds of a local ISO time."""
    return int(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
