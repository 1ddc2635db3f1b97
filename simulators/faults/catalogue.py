"""Every fault there is, and how one is written on a command line."""

from __future__ import annotations

import tomllib
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import Field, TypeAdapter, ValidationError

from simulators.faults.fault import ANY, Fault, LineKind
from simulators.faults.process import Stop
from simulators.faults.refusals import Busy, Holes, MaxRegisters, ShortAnswer, WrongFunction
from simulators.faults.shown import (
    CalibrationCycle,
    CounterReset,
    Drift,
    Frozen,
    MeterSwap,
    Rollover,
    Sentinel,
    TornWords,
    ZeroGlitch,
)
from simulators.faults.transport import (
    ConnectionReset,
    ConstantTransaction,
    DeadUnit,
    Echo,
    HalfAnswer,
    LateAnswer,
    Noise,
    SlowTurnaround,
    StaleAnswer,
    WrongTransaction,
    WrongUnit,
)

AnyFault: TypeAlias = Annotated[
    LateAnswer | StaleAnswer | SlowTurnaround | DeadUnit | WrongTransaction | ConstantTransaction | WrongUnit
    | HalfAnswer | Noise | Echo | ConnectionReset | Holes | MaxRegisters | Busy | ShortAnswer | WrongFunction
    | ZeroGlitch | Sentinel | TornWords | Frozen | Drift | Rollover | CounterReset | MeterSwap | CalibrationCycle
    | Stop,
    Field(discriminator="kind"),
]  # fmt: skip

FAULTS: dict[str, type[Fault]] = {
    get_args(fault.model_fields["kind"].annotation)[0]: fault for fault in get_args(get_args(AnyFault)[0])
}
"""Every fault by its name."""

_COMMON = {"kind", *Fault.model_fields}
_adapter: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)


class FaultError(ValueError):
    """A fault can't be read; the text says what was seen and what is known."""


def parse_fault(text: str, now: datetime) -> AnyFault:
    """A fault from ``NAME KEY=VALUE ...``, for example ``late-answer unit=1 from=5 to=20 probability=0.3``.

    Values are as in TOML; a word needs no quotes. ``from=+5`` means 5 s from now.

    Raises
    ------
    FaultError
        No such fault, no such key, or a value that does not fit.
    """
    name, *settings = text.split()
    if name not in FAULTS:
        raise FaultError(f"fault {name!r}: no such fault. Known: {', '.join(FAULTS)}")
    table: dict[str, Any] = {"kind": name}
    for setting in settings:
        _put(table, setting, name)
    for key in ("from", "to"):
        if str(table.get(key, "")).startswith("+"):
            try:
                table[key] = now + timedelta(seconds=float(table[key]))
            except ValueError as error:
                raise FaultError(f"fault {name}: {key}={table[key]}: write seconds from now, for example +5") from error
    try:
        return _adapter.validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][1:])
        known = ", ".join(sorted(_keys(FAULTS[name])))
        raise FaultError(f"fault {name}: {key}: {first['msg']}. Its keys: {known}") from error


def describe() -> list[dict[str, Any]]:
    """Every fault with what it does in Chinese and English, the lines it applies to and its own keys."""
    return [
        {
            "fault": name,
            "lines": [kind.value for kind in LineKind if kind in fault.lines],
            "keys": {key: _default(fault, key) for key in fault.model_fields if key not in _COMMON},
            "zh": fault.zh,
            "en": fault.en,
        }
        for name, fault in FAULTS.items()
    ]


def applies(fault: Fault, line: LineKind) -> bool:
    """Whether a fault can show on a line."""
    return fault.lines is ANY or line in fault.lines


def _put(table: dict[str, Any], setting: str, name: str) -> None:
    key, equals, value = setting.partition("=")
    if not equals:
        raise FaultError(f"fault {name}: {setting!r} is no KEY=VALUE. Write for example unit=1")
    try:
        read = tomllib.loads(setting) if not value.startswith("+") else {key: value}
    except tomllib.TOMLDecodeError:
        read = tomllib.loads(f"{key} = '{value}'")
    for top, inner in read.items():
        table[top] = {**table[top], **inner} if isinstance(inner, dict) and top in table else inner


def _keys(fault: type[Fault]) -> list[str]:
    return [field.alias or name for name, field in fault.model_fields.items() if name != "kind"]


def _default(fault: type[Fault], key: str) -> Any:
    field = fault.model_fields[key]
    return None if field.is_required() else field.default
