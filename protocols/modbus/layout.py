"""Whether the registers of a map can be read as it says: in one request, into one word, as a number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from protocols.errors import InputError
from protocols.modbus.registermap import MOST_REGISTERS, Register, RegisterMap
from protocols.quantities import Kind
from protocols.toml import Document
from protocols.toml_lines import TomlPath


def layout_problems(document: Document, position: int, register_map: RegisterMap) -> Iterator[InputError]:
    """What one register's addresses, bits, scale factor, offset and codes break."""
    register = register_map.registers[position]
    path: TomlPath = ("registers", position)
    yield from _place_problems(document, path, register)
    yield from _reach_problems(document, path, register, register_map)
    yield from _bit_problems(document, path, register)
    yield from _kind_problems(document, path, register)
    yield from _code_problems(document, path, register)


def _place_problems(document: Document, path: TomlPath, register: Register) -> Iterator[InputError]:
    """Addresses against the type and the end of the register space."""
    if register.addresses:
        where = (*path, "addresses")
        if len(register.addresses) != register.width:
            seen = f"{len(register.addresses)} registers for {register.type}"
            yield document.error(where, seen, f"{register.type} takes {register.width}: name each, highest first")
        if len(set(register.addresses)) != len(register.addresses):
            yield document.error(where, "a register twice", "name each register once")
        if register.address != register.addresses[0]:
            seen = f"{register.address}, but addresses begin with {register.addresses[0]}"
            yield document.error((*path, "address"), seen, "state either address or addresses")
        if register.word_order == "little":
            hint = "addresses name the most significant register first; remove word_order"
            yield document.error((*path, "word_order"), '"little" with addresses', hint)
    elif register.address + register.width > 65536:
        seen = f"{register.address} with {register.width} registers"
        yield document.error((*path, "address"), seen, "the last register is 65535")
    if len(register.places) > MOST_REGISTERS:
        seen = f"{register.type} and its scale factor take {len(register.places)} registers"
        yield document.error((*path, "scale_factor"), seen, f"a word holds {MOST_REGISTERS}: use a shorter type")


def _reach_problems(
    document: Document, path: TomlPath, register: Register, register_map: RegisterMap
) -> Iterator[InputError]:
    """One request must fetch all of a value's registers, and may read over no wider gap than the model allows."""
    quirks, places = register_map.quirks, sorted(register.places)
    reach = places[-1] - places[0] + 1
    key = "scale_factor" if register.scale_factor is not None else "addresses" if register.addresses else "type"
    if reach > quirks.max_registers:
        lies = f"takes {reach} registers" if reach == register.width else f"lies in {reach} registers"
        seen = f"{register.type} {lies}"
        yield document.error((*path, key), seen, f"more than max_registers = {quirks.max_registers}; correct one")
        return
    used = {place for other in register_map.registers if other.function == register.function for place in other.places}
    known = sorted(place for place in used if places[0] <= place <= places[-1])
    gap = max((after - before - 1 for before, after in itertools.pairwise(known)), default=0)
    if gap > quirks.max_gap:
        seen = f"{gap} unused registers between its own"
        yield document.error((*path, key), seen, f"more than max_gap = {quirks.max_gap}: one request cannot fetch it")


def _bit_problems(document: Document, path: TomlPath, register: Register) -> Iterator[InputError]:
    """Bits and sentinels against the width and kind of the number."""
    whole = 16 * register.width
    if register.bits is not None:
        low, high = register.bits
        if register.family != "u":
            seen = f"bits of {register.type}"
            yield document.error((*path, "bits"), seen, "only an unsigned integer has parts; use a u type")
        if not low <= high < whole:
            hint = f"lowest and highest bit, 0 to {whole - 1} in {register.type}"
            yield document.error((*path, "bits"), f"{low} to {high}", hint)
    factor = register.scale_factor
    if factor is not None and factor.bits is not None and not factor.bits[0] <= factor.bits[1] < 16:
        seen = f"{factor.bits[0]} to {factor.bits[1]}"
        yield document.error((*path, "scale_factor", "bits"), seen, "lowest and highest bit, 0 to 15")
    for index, sentinel in enumerate(register.sentinels):
        if sentinel >= 1 << whole:
            hint = f"{register.type} has {whole} bits: at most {(1 << whole) - 1}"
            yield document.error((*path, "sentinels", index), str(sentinel), hint)


def _kind_problems(document: Document, path: TomlPath, register: Register) -> Iterator[InputError]:
    """An offset and a scale factor belong to measured values; only an instant can have an offset."""
    kind = register.quantity.definition.kind
    if register.offset and kind is not Kind.INSTANT:
        seen = f"{register.offset} on {register.quantity.value}"
        hint = "a counter is read by its differences" if kind is Kind.COUNTER else "a code has no offset"
        yield document.error((*path, "offset"), seen, f"{hint}; remove it")
    if register.scale_factor is not None and kind is Kind.STATE:
        yield document.error((*path, "scale_factor"), "a scaled code", "a code has no scale; remove it")


def _code_problems(document: Document, path: TomlPath, register: Register) -> Iterator[InputError]:
    """Codes and flags belong to states, and to numbers the register can hold."""
    bits = 16 * register.width if register.bits is None else register.bits[1] - register.bits[0] + 1
    top = 10 ** (4 * register.width) if register.family == "bcd" else 1 << bits
    for key, names, end in (("codes", register.codes, top), ("flags", register.flags, bits)):
        if names and (register.quantity.definition.kind is not Kind.STATE or register.family not in ("u", "bcd")):
            hint = "only an unsigned code has meanings: device_status or operating_state, a u or bcd type"
            yield document.error((*path, key), f"{key} of {register.quantity.value}, {register.type}", hint)
        for name in names:
            if int(name) >= end:
                yield document.error((*path, key, name), name, f"{register.type} ends at {end - 1} here")
