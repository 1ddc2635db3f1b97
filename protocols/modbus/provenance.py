"""How well the layout of a map is known, and what that claim needs.

``confirmed`` needs the maker's own document or a published standard, or two programs by different people that
agree; a page for every register; and for every type the map uses an example from words to a number, which the map
must decode to. ``second-hand`` needs one source. ``unconfirmed`` and ``simulator-only`` claim nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import numpy as np

from protocols.errors import InputError
from protocols.modbus.decode import exact_value, numbers
from protocols.modbus.registermap import Example, Register, RegisterMap, scale_of
from protocols.toml import Document


def provenance_problems(document: Document, register_map: RegisterMap) -> Iterator[InputError]:
    """What the status lacks, and examples the map does not decode to their number."""
    yield from _example_problems(document, register_map)
    status = f'"{register_map.status}"'
    if register_map.status == "second-hand" and not register_map.sources:
        yield document.error(("status",), status, 'name in [[sources]] what was read, or write "unconfirmed"')
    if register_map.status != "confirmed":
        return
    kinds = {source.kind for source in register_map.sources}
    drivers = {source.by for source in register_map.sources if source.kind == "driver"}
    if not kinds & {"manual", "standard"} and len(drivers) < 2:
        hint = 'name a manual, a standard or two drivers by different people in [[sources]], or write "second-hand"'
        yield document.error(("status",), status, hint)
    shown = {register_map.register_named(example.register_name).type for example in register_map.examples}
    for position, register in enumerate(register_map.registers):
        if not register.page:
            hint = "state page: the page, section or line of its source"
            yield document.error(("registers", position, "name"), f"{register.name} of a confirmed map", hint)
        if register.type not in shown:
            shown.add(register.type)
            hint = "add an [[examples]] with its words and number"
            yield document.error(("registers", position, "type"), f"no example of {register.type}", hint)


def _example_problems(document: Document, register_map: RegisterMap) -> Iterator[InputError]:
    names = [register.name for register in register_map.registers]
    for position, example in enumerate(register_map.examples):
        path = ("examples", position)
        if example.register_name not in names:
            yield document.error((*path, "register"), f'no register "{example.register_name}"', "name one", names)
            continue
        register = register_map.register_named(example.register_name)
        if len(example.words) != len(register.places):
            seen = f"{len(example.words)} words for {len(register.places)} registers"
            yield document.error((*path, "words"), seen, f"state those of {', '.join(map(str, register.places))}")
            continue
        word = word_of(example)
        value = exact_value(word, register)
        if not _agrees(value, example.value) and not _agrees(_binary_value(word, register), example.value):
            seen = f"{shown_value(example.value)}, but the map makes it {shown_value(value)} {register.unit}"
            yield document.error((*path, "value"), seen, "correct type, order, scale or the example")


def word_of(example: Example) -> int:
    """The joined word of an example."""
    word = 0
    for each in example.words:
        word = word << 16 | each
    return word


def _binary_value(word: int, register: Register) -> Fraction | None:
    """What a float is to the last bit, where people would write it shorter; None for other types."""
    number, available = numbers(np.array([word], dtype=np.uint64), register)
    if register.family != "float" or not available[0]:
        return None
    return Fraction(float(number[0])) * scale_of(register) + Fraction(register.offset)


def _agrees(value: Fraction | None, stated: Decimal | None) -> bool:
    """Whether a value is the number stated, to the last digit stated."""
    if value is None or stated is None:
        return value is None and stated is None
    exponent = stated.as_tuple().exponent
    if not isinstance(exponent, int):
        return False
    step = Fraction(1, 10**-exponent) if exponent < 0 else Fraction(10**exponent)
    return round(value / step) * step == Fraction(stated)


def shown_value(value: Fraction | Decimal | None) -> str:
    """A value for people: up to twelve digits."""
    if value is None:
        return "not available"
    if isinstance(value, Decimal):
        return f"{value:f}"
    with localcontext(prec=12, rounding=ROUND_HALF_EVEN):
        return f"{(Decimal(value.numerator) / Decimal(value.denominator)).normalize():f}"
