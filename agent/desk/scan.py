"""Who is on a bus: every unit is asked who it is, then for harmless registers, and library maps are held against it.

Only reads are sent, of registers that the maps themselves name as telling the model. A unit that gives any answer,
a refusal too, is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from agent.desk.asks import IdentifyAsk, ReadAsk
from agent.desk.visit import Desk, ask_one
from protocols.modbus import sunspec
from protocols.modbus.decode import exact_value, text_of
from protocols.modbus.maps import load_map, map_names
from protocols.modbus.registermap import Register, RegisterMap

NOBODY = frozenset({"timeout", "disconnected", "bad_answer", "exception 10", "exception 11"})
"""Outcomes that tell of no unit; a gateway says the last two where nothing answers behind it."""
_MAYBE = ((4, 0), (3, 0))


@dataclass(slots=True)
class Found:
    """A unit that answered: what it says of itself, the first answer, and the maps whose probe fits."""

    unit: int
    said: list[str] = field(default_factory=list)
    first: str = ""
    sunspec: sunspec.Device | None = None
    maps: list[str] = field(default_factory=list)


async def scan(desk: Desk, bus: str, units: Iterable[int]) -> AsyncIterator[Found]:
    """Every unit that answers."""
    for unit in units:
        found = await look(desk, bus, unit)
        if found is not None:
            yield found


async def look(desk: Desk, bus: str, unit: int) -> Found | None:
    """One unit; None where nothing says that it is there."""
    found = Found(unit)
    there = False
    told = await ask_one(desk, IdentifyAsk(bus=bus, unit=unit))
    there |= told["fate"] not in NOBODY
    if told["good"]:
        found.said += objects(bytes.fromhex(told["registers"]))
    for function, address in () if there else _MAYBE:
        told = await ask_one(desk, ReadAsk(bus=bus, unit=unit, function=function, address=address))
        if told["fate"] not in NOBODY:
            there = True
            found.first = f"function {function}, register {address}: {told['registers'] or told['fate']}"
            break
    if not there:
        return None
    told = await ask_one(desk, IdentifyAsk(bus=bus, unit=unit, by="server-id"))
    if told["good"]:
        text = "".join(chr(byte) for byte in bytes.fromhex(told["registers"]) if 32 <= byte < 127).strip()
        found.said += [f"server id: {text or told['registers']}"]
    found.sunspec = await _sunspec(desk, bus, unit)
    for name in map_names():
        register_map = load_map(name)[0]
        if register_map.status != "simulator-only" and await _fits(desk, bus, unit, register_map):
            how = "" if register_map.probe.expect else ", a value within limits only"
            found.maps.append(f"{name} ({register_map.status}{how})")
    found.maps.sort(key=lambda told: "limits" in told)
    return found


def objects(answer: bytes) -> list[str]:
    """The texts of an answer to function 43/14: maker, product, revision and what else it bears."""
    names = ("maker", "product", "revision", "url", "product name", "model", "application")
    told, at = [], 6  # interface, code, conformity, more follows, next object, number of objects
    while at + 2 <= len(answer) and at + 2 + answer[at + 1] <= len(answer):
        number, size = answer[at], answer[at + 1]
        text = answer[at + 2 : at + 2 + size].decode("utf-8", "replace").strip("\0 ")
        told.append(f"{names[number] if number < len(names) else f'object {number}'}: {text}")
        at += 2 + size
    return told


async def _registers(desk: Desk, bus: str, unit: int, function: int, address: int, count: int) -> list[int] | None:
    told = await ask_one(desk, ReadAsk(bus=bus, unit=unit, function=function, address=address, count=count))
    if not told["good"]:
        return None
    data = bytes.fromhex(told["registers"])
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


async def _sunspec(desk: Desk, bus: str, unit: int) -> sunspec.Device | None:
    steps = sunspec.walk()
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(await _registers(desk, bus, unit, sunspec.FUNCTION, *wanted))
    except StopIteration as end:
        device: sunspec.Device | None = end.value
        return device


async def _fits(desk: Desk, bus: str, unit: int, register_map: RegisterMap) -> bool:
    """Whether the register that tells a model holds what it should."""
    probe = register_map.probe
    for text in register_map.texts:
        if text.name == probe.register_name:
            words = await _registers(desk, bus, unit, text.function, text.address, text.registers)
            return words is not None and bool(probe.expect) and text_of(words, text) == probe.expect
    register = register_map.register_named(probe.register_name)
    value = await _value(desk, bus, unit, register)
    if value is None:
        return False
    if probe.expect:
        return value == Fraction(probe.expect)
    least, most = probe.least, probe.most
    return least is not None and most is not None and Fraction(least) <= value <= Fraction(most)


async def _value(desk: Desk, bus: str, unit: int, register: Register) -> Fraction | None:
    word = 0
    places = register.places
    if places == tuple(range(places[0], places[0] + len(places))):
        words = await _registers(desk, bus, unit, register.function, places[0], len(places))
    else:
        words = []
        for place in places:
            one = await _registers(desk, bus, unit, register.function, place, 1)
            words = None if one is None or words is None else [*words, *one]
    if words is None or len(words) != len(places):
        return None
    for each in words:
        word = word << 16 | each
    return exact_value(word, register)
