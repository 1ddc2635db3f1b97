"""SunSpec devices tell where their values are: a mark, then a chain of models, each with its number and its length.

The chain begins behind the registers "SunS" at 40000, 50000 or 0 (SunSpec device information model specification,
6.1 to 6.3: holding registers, counted from 0) and ends with model 65535. Model 1 names maker, model and serial number
(github.com/sunspec/models json/model_1.json @09dbbca).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from protocols.modbus.maps import load_map, map_names

FUNCTION = 3
BASES = (40000, 50000, 0)
MARK = (0x5375, 0x6E53)
COMMON, END = 1, 0xFFFF
MOST_MODELS = 100
_COMMON_TEXTS = 64
"""Registers of the four texts that are read of model 1, from its third register on."""
_ADDRESS = re.compile(r"(?m)\b(address = )(\d+)")
_NAME = re.compile(r'(?m)^model = "[^"]*"')
_CAVEATS = re.compile(r"(?m)^caveats = \[")

Walk: TypeAlias = "Generator[tuple[int, int], Sequence[int] | None, Device | None]"


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the chain: its number, the address of its first register (the number), registers behind its head."""

    number: int
    address: int
    length: int


@dataclass(frozen=True, slots=True)
class Device:
    """What a device says of itself, empty where it does not; ``whole`` is whether the chain's end was seen."""

    base: int
    maker: str
    model: str
    version: str
    serial: str
    models: tuple[Model, ...]
    whole: bool


def walk() -> Walk:
    """Find the chain of a device.

    Yields
    ------
    tuple of (int, int)
        Address and count of holding registers to read next.

    Receives
    --------
    sequence of int or None
        The registers; None where the device refused or did not answer.

    Returns
    -------
    Device or None
        None where it bears no mark at any of ``BASES``.
    """
    for base in BASES:
        if _equal((yield base, len(MARK)), MARK):
            return (yield from _follow(base))
    return None


def _follow(base: int) -> Walk:
    models: list[Model] = []
    texts = ("", "", "", "")
    at, whole = base + len(MARK), False
    while len(models) < MOST_MODELS and at < 2**16 - 1:
        head = yield at, 2
        if head is None or len(head) != 2:
            break
        number, length = head
        whole = number == END
        if whole:
            break
        models.append(Model(number, at, length))
        if number == COMMON and length >= _COMMON_TEXTS and at + 2 + length <= 2**16:
            texts = _texts((yield at + 2, _COMMON_TEXTS))
        at += 2 + length
    maker, model, version, serial = texts
    return Device(base, maker, model, version, serial, tuple(models), whole)


def packaged_map(model: Model) -> str:
    """Name of the packaged map that reads a model of this number; empty where there is none."""
    name = f"sunspec-{model.number}"
    return name if name in map_names() else ""


def moved_map(model: Model, name: str) -> str:
    """The text of the packaged map with every address where this device has it, under a name of its own.

    Parameters
    ----------
    model : Model
        One that ``packaged_map`` knows.
    name : str
        What the plan will call it, and the file: ``maps/NAME.toml`` beside the plan.
    """
    register_map, text = load_map(packaged_map(model))
    by = model.address - min(register.address for register in register_map.registers)
    text = _ADDRESS.sub(lambda found: f"{found[1]}{int(found[2]) + by}", text)
    text = _NAME.sub(f'model = "{name}"', text, count=1)
    moved = f'"Moved by {by} registers to where a device said that model {model.number} is."'
    return _CAVEATS.sub(f"caveats = [\n  {moved},", text, count=1)


def _equal(words: Sequence[int] | None, expected: tuple[int, ...]) -> bool:
    return words is not None and tuple(words) == expected


def _texts(words: Sequence[int] | None) -> tuple[str, str, str, str]:
    """Maker, model, version and serial number."""
    if words is None or len(words) != _COMMON_TEXTS:
        return "", "", "", ""
    maker, model, version, serial = (_text(words[a:b]) for a, b in ((0, 16), (16, 32), (40, 48), (48, 64)))
    return maker, model, version, serial


def _text(words: Sequence[int]) -> str:
    """Two characters per register, up to the first NUL; what is no printable text is left out."""
    data = b"".join(word.to_bytes(2, "big") for word in words).split(b"\0", 1)[0]
    return "".join(sign for sign in data.decode("utf-8", "replace").strip() if sign.isprintable())
