"""A register map: one meter model as data, one TOML file per model in ``maps/``.

The file names the manual it was read from and how well its layout is known. A register states what its
words mean: type, word order, exact scale and whether to multiply or divide, unit and reference state.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from protocols.quantities import Quantity

WIDTHS = {"u16": 1, "s16": 1, "u32": 2, "s32": 2, "float32": 2, "u64": 4, "s64": 4, "float64": 4}
"""Registers taken by each type."""


class MapTable(BaseModel):
    """Base of every table of a map file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Manual(MapTable):
    """Where the layout was read."""

    title: Annotated[str, Field(min_length=1)]
    revision: str
    page: str
    source: Annotated[str, Field(min_length=1)]


class Quirks(MapTable):
    """What this model cannot do."""

    max_registers: Annotated[int, Field(ge=1, le=125, strict=True)] = 125
    max_gap: Annotated[int, Field(ge=0, le=124, strict=True)] = 16


class Register(MapTable):
    """One value of the model.

    ``address`` is the zero-based protocol address. ``word_order`` "big" means the first register is the most
    significant; ``byte_order`` "little" means the two bytes of every register are exchanged. The
    value in ``unit`` is words x scale or words / scale.
    ``modulus`` is where a counter rolls over, in ``unit``; absent where the manual does not say.
    ``resolution`` is the least step of the indication, in ``unit``.
    ``sentinels`` are whole-width bit patterns, most significant register and byte first, that mean "not
    available".
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
    quantity: Quantity
    function: Literal[3, 4]
    address: Annotated[int, Field(ge=0, le=65535, strict=True)]
    type: Literal["u16", "s16", "u32", "s32", "u64", "s64", "float32", "float64"]
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"
    scale: Annotated[Decimal, Field(gt=0, max_digits=40)] = Decimal(1)
    scale_by: Literal["multiply", "divide"] = "multiply"
    unit: str
    temperature: Literal["actual", "0C", "15C", "20C"] | None = None
    moisture: Literal["wet", "dry"] | None = None
    modulus: Annotated[Decimal, Field(gt=0, max_digits=40)] | None = None
    resolution: Annotated[Decimal, Field(gt=0, max_digits=40)] | None = None
    sentinels: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = ()
    page: str = ""
    note: str = ""

    @property
    def width(self) -> int:
        """Registers the value takes."""
        return WIDTHS[self.type]


class Probe(MapTable):
    """A register that tells this model from others, with the value expected there."""

    register_name: str = Field(alias="register")
    expect: str


class RegisterMap(MapTable):
    """One meter model."""

    schema_version: Literal[1] = Field(alias="schema")
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    maker: str
    title: str
    status: Literal["confirmed", "second-hand", "unconfirmed", "simulator-only"]
    caveats: tuple[str, ...] = ()
    manual: Manual
    probe: Probe
    quirks: Quirks = Quirks()
    registers: Annotated[tuple[Register, ...], Field(min_length=1)]

    def register_named(self, name: str) -> Register:
        """The register of that name; KeyError where there is none."""
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(name)
