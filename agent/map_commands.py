"""``emitrace-agent map``: the library of register maps, and a check of a new one before it is used."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from protocols.errors import EmitraceError
from protocols.modbus.decode import exact_value
from protocols.modbus.maps import load_map, map_names, parse_map
from protocols.modbus.planner import plan_map
from protocols.modbus.provenance import shown_value, word_of
from protocols.modbus.registermap import Example, Probe, Register, RegisterMap
from protocols.quantities import Kind
from protocols.toml import read_toml

USAGE = 2
STATUSES = ("confirmed", "second-hand", "unconfirmed", "simulator-only")

app = typer.Typer(help="List the register maps, and check a new one.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the packaged register maps with how well each layout is known."""
    maps = [load_map(name)[0] for name in map_names()]
    maps.sort(key=lambda one: (STATUSES.index(one.status), one.model))
    if as_json:
        rows = [{"model": m.model, "maker": m.maker, "title": m.title, "status": m.status} for m in maps]
        _print(json.dumps(rows, ensure_ascii=False))
        return
    for one in maps:
        _print(f"{one.status:<15} {one.model:<24} {one.maker}: {one.title}")
    counted: Counter[str] = Counter(one.status for one in maps)
    _print(", ".join(f"{counted[status]} {status}" for status in STATUSES if counted[status]))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A register map as TOML, or the name of a packaged one.")],
) -> None:
    """Check a register map; print the requests that read all of it, every register and its examples decoded."""
    try:
        if not file.exists() and file.name in map_names():
            register_map = load_map(file.name)[0]
        else:
            register_map = parse_map(read_toml(file).text, str(file))
    except EmitraceError as error:
        sys.stderr.write(f"emitrace-agent: {error}\n")
        raise typer.Exit(USAGE) from None
    for line in report(register_map):
        _print(line)


def report(register_map: RegisterMap) -> list[str]:
    """What a technician compares with the manual, line by line."""
    lines = [
        f"model    {register_map.model}, {register_map.maker}: {register_map.title}",
        f"status   {register_map.status}, {_read(register_map)}",
        f"probe    {_probe(register_map.probe)}",
    ]
    for request in plan_map(register_map):
        names = ", ".join(register_map.registers[point].name for point in request.points)
        last = request.address + request.count - 1
        lines.append(f"request  function {request.function}, registers {request.address}-{last}: {names}")
    lines += [_register(register) for register in register_map.registers]
    lines += [_example(example, register_map) for example in register_map.examples]
    if not register_map.examples:
        lines.append("example  none: add an [[examples]] with words you have seen and the number on the display")
    lines += [f"caveat   {caveat}" for caveat in register_map.caveats]
    return lines


def _read(register_map: RegisterMap) -> str:
    counted = Counter(source.kind for source in register_map.sources)
    read = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counted.items()]
    return f"read in {', '.join(read)}" if read else "no source named"


def _probe(probe: Probe) -> str:
    if probe.expect:
        return f'{probe.register_name} is "{probe.expect}"'
    return f"{probe.register_name} lies between {probe.least} and {probe.most}"


def _register(register: Register) -> str:
    """Where a register lies and what its number 1 means: a decimal point in the wrong place shows here."""
    places = ", ".join(map(str, register.places))
    one = exact_value(_one(register), register)
    order = "" if register.word_order == register.byte_order == "big" else _order(register)
    means = f"1 means {shown_value(one)} {register.unit}"
    if register.scale_factor is not None:
        means = f"the device scales it by register {register.places[-1]}"
    elif register.quantity.definition.kind is Kind.STATE:
        means = "a code"
    return f"register {register.name}: {register.quantity.value}, {register.type}{order} at {places}; {means}"


def _order(register: Register) -> str:
    kinds = [("word", register.word_order), ("byte", register.byte_order)]
    return "".join(f", low {name} first" for name, order in kinds if order == "little")


def _one(register: Register) -> int:
    """The word that holds the number 1, as the device would send it."""
    bits = {"float32": 0x3F80_0000, "float64": 0x3FF0_0000_0000_0000}.get(register.type, 1)
    bits <<= register.bits[0] if register.bits is not None else 0
    data = bits.to_bytes(2 * register.width, "big")
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if register.byte_order == "little":
        words = [word[::-1] for word in words]
    if register.word_order == "little":
        words.reverse()
    return int.from_bytes(b"".join(words), "big")


def _example(example: Example, register_map: RegisterMap) -> str:
    register = register_map.register_named(example.register_name)
    words = " ".join(f"{word:04X}" for word in example.words)
    value = exact_value(word_of(example), register)
    meaning = register.meaning(int(value)) if value is not None and (register.codes or register.flags) else ""
    unit = "" if register.quantity.definition.kind is Kind.STATE else f" {register.unit}"
    shown = "not available" if value is None else f"{shown_value(value)}{unit}"
    return f"example  {register.name}: {words} -> {shown}{f' ({meaning})' if meaning else ''}; {example.source}"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
