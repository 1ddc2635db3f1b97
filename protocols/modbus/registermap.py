"""A register map: one meter model as data, one TOML file per model in ``maps/``.

The file names the manual it was read from and how well its layout is known. A register states what its
words mean: type, order, exact scale and whether to multiply or divide, unit and reference state. Its value may
lie in registers that are not neighbours, and a further register may say how it is scaled: all of them are read
in one request and travel as one word.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.quantities import Quantity

WIDTHS = {
    "u16": 1, "s16": 1, "bcd16": 1, "u32": 2, "s32": 2, "bcd32": 2, "float32": 2,
    "u48": 3, "s48": 3, "bcd48": 3, "u64": 4, "s64": 4, "bcd64": 4, "float64": 4,
}  # fmt: skip
"""Registers taken by each type: unsigned, two's complement, packed decimal digits (8-4-2-1), IEEE 754."""
MOST_REGISTERS = 4
"""Registers one word can hold."""
MOST_EXPONENT = 18
"""A scale factor beyond 10**18 or below 10**-18 is no scale factor."""

Address: TypeAlias = Annotated[int, Field(ge=0, le=65535, strict=True)]
Bit: TypeAlias = Annotated[int, Field(ge=0, le=63, strict=True)]


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


class ScaleFactor(MapTable):
    """A register of the device that says how another one is scaled.

    Its number (or that of its ``bits``, lowest and highest, inclusive) plus ``add`` is an exponent of ten, as
    SunSpec's ``sunssf`` is, a factor or a divisor. What is no such number (a sentinel, an exponent beyond
    ``MOST_EXPONENT``, a factor that is not positive) makes the value not available.
    """

    address: Address
    type: Literal["u16", "s16"] = "s16"
    bits: tuple[Bit, Bit] | None = None
    add: Annotated[int, Field(ge=-99, le=99, strict=True)] = 0
    meaning: Literal["exponent", "factor", "divisor"] = "exponent"
    sentinels: tuple[Annotated[int, Field(ge=0, le=65535, strict=True)], ...] = ()

    def ratio(self, word: int) -> Fraction | None:
        """Value per register number that this word states; None where it states none."""
        if word in self.sentinels:
            return None
        number = word
        if self.bits is not None:
            low, high = self.bits
            number = word >> low & (1 << high - low + 1) - 1
        elif self.type == "s16" and word >= 1 << 15:
            number = word - (1 << 16)
        number += self.add
        if self.meaning == "exponent":
            if abs(number) > MOST_EXPONENT:
                return None
            return Fraction(10**number) if number >= 0 else Fraction(1, 10**-number)
        if number <= 0:
            return None
        return Fraction(number) if self.meaning == "factor" else Fraction(1, number)


class Register(MapTable):
    """One value of the model.

    ``address`` is the zero-based protocol address of its first register; ``addresses`` names each of its registers
    instead, most significant first, where they are not neighbours. ``word_order`` "big" means the first register
    is the most significant; ``byte_order`` "little" means the two bytes of every register are exchanged. The
    value in ``unit`` is number x scale + offset or number / scale + offset, and further scaled as ``scale_factor``
    says. ``bits`` (lowest and highest, inclusive) is the part of an unsigned word that is the number.
    ``codes`` says what the numbers of an enumeration mean, ``flags`` what the bits of a bit field mean.
    ``modulus`` is where a counter rolls over, in ``unit``; absent where the manual does not say.
    ``resolution`` is the least step of the indication, in ``unit``.
    ``sentinels`` are whole-width bit patterns, most significant register and byte first, that mean "not
    available".
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
    quantity: Quantity
    function: Literal[3, 4]
    address: Address
    addresses: tuple[Address, ...] = ()
    type: Literal[
        "u16", "s16", "bcd16", "u32", "s32", "bcd32", "float32", "u48", "s48", "bcd48", "u64", "s64", "bcd64", "float64"
    ]
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"
    bits: tuple[Bit, Bit] | None = None
    scale: Annotated[Decimal, Field(gt=0, max_digits=40)] = Decimal(1)
    scale_by: Literal["multiply", "divide"] = "multiply"
    scale_factor: ScaleFactor | None = None
    offset: Annotated[Decimal, Field(max_digits=40)] = Decimal(0)
    unit: str
    temperature: Literal["actual", "0C", "15C", "20C"] | None = None
    moisture: Literal["wet", "dry"] | None = None
    modulus: Annotated[Decimal, Field(gt=0, max_digits=40)] | None = None
    resolution: Annotated[Decimal, Field(gt=0, max_digits=40)] | None = None
    sentinels: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = ()
    codes: dict[Annotated[str, Field(pattern=r"^[0-9]{1,20}$")], str] = {}
    flags: dict[Annotated[str, Field(pattern=r"^[0-9]{1,2}$")], str] = {}
    page: str = ""
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _first_of_addresses(cls, data: Any) -> Any:
        """Where registers are listed, the first one listed is the address."""
        if isinstance(data, dict) and "address" not in data and isinstance(data.get("addresses"), list | tuple):
            return {**data, "address": next(iter(data["addresses"]), None)}
        return data

    @property
    def width(self) -> int:
        """Registers the number itself takes."""
        return WIDTHS[self.type]

    @property
    def family(self) -> str:
        """How its bits make a number: u, s, bcd or float."""
        return self.type.rstrip("0123456789")

    @property
    def places(self) -> tuple[int, ...]:
        """Address of every register its word is joined from, in order; that of the scale factor is last."""
        own = self.addresses or tuple(range(self.address, self.address + self.width))
        return own if self.scale_factor is None else (*own, self.scale_factor.address)

    @property
    def word_width(self) -> int:
        """Registers of the joined word: 1, 2 or 4. Three become four; the highest is then 0."""
        return 4 if len(self.places) == 3 else len(self.places)

    def meaning(self, number: int) -> str:
        """What a code or a bit field says; empty where the map does not tell."""
        named = [text for bit, text in self.flags.items() if number >> int(bit) & 1]
        return self.codes.get(str(number), ", ".join(named))


class Text(MapTable):
    """A text of the model, such as its maker or serial number: it identifies, and is never a point of a plan.

    Two characters per register; ``byte_order`` "big" means the first one is in the high byte.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
    function: Literal[3, 4]
    address: Address
    registers: Annotated[int, Field(ge=1, le=64, strict=True)]
    byte_order: Literal["big", "little"] = "big"
    page: str = ""
    note: str = ""


class Probe(MapTable):
    """A register or text that tells this model from others: the value expected there, or its least and greatest.

    Where a model has no register that names it, one whose value is known within limits (a line frequency) serves.
    """

    register_name: str = Field(alias="register")
    expect: str = ""
    least: Decimal | None = None
    most: Decimal | None = None


class Source(MapTable):
    """A document or program that was read for the layout: whose it is, where it is, and what was read in it."""

    kind: Literal["manual", "standard", "driver"]
    by: Annotated[str, Field(min_length=1)]
    where: Annotated[str, Field(min_length=1)]
    read: Annotated[str, Field(min_length=1)]


class Example(MapTable):
    """Words of a register, in the map's order, and the number they mean in its unit; no value: not available.

    ``source`` says who gives that number, or that it follows from the type and scale stated there.
    """

    register_name: str = Field(alias="register")
    words: Annotated[tuple[Annotated[int, Field(ge=0, le=65535, strict=True)], ...], Field(min_length=1)]
    value: Decimal | None = None
    source: Annotated[str, Field(min_length=1)]


class RegisterMap(MapTable):
    """One meter model.

    ``ratios`` says whether the registers hold primary or secondary values, ``accuracy`` what limits of error the
    maker states for them.
    """

    schema_version: Literal[1] = Field(alias="schema")
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    maker: str
    title: str
    status: Literal["confirmed", "second-hand", "unconfirmed", "simulator-only"]
    caveats: tuple[str, ...] = ()
    ratios: str = ""
    accuracy: str = ""
    manual: Manual
    sources: tuple[Source, ...] = ()
    probe: Probe
    quirks: Quirks = Quirks()
    texts: tuple[Text, ...] = ()
    registers: Annotated[tuple[Register, ...], Field(min_length=1)]
    examples: tuple[Example, ...] = ()

    def register_named(self, name: str) -> Register:
        """The register of that name; KeyError where there is none."""
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(name)


def scale_of(register: Register) -> Fraction:
    """Value in the register's unit per register number, exact; a scale factor of the device comes on top."""
    scale = Fraction(register.scale)
    return scale if register.scale_by == "multiply" else 1 / scale


def step_of(register: Register) -> Fraction | None:
    """Least step an integer register can show, in its unit; None for a float or where the device scales it."""
    return None if register.family == "float" or register.scale_factor is not None else scale_of(register)


def span_of(register: Register) -> Fraction | None:
    """Numbers an integer register can hold without sign, in its unit; None where ``step_of`` is."""
    step = step_of(register)
    if step is None:
        return None
    if register.family == "bcd":
        return Fraction(10 ** (4 * register.width)) * step
    bits = 16 * register.width - (1 if register.family == "s" else 0)
    if register.bits is not None:
        bits = register.bits[1] - register.bits[0] + 1
    return (1 << bits) * step
