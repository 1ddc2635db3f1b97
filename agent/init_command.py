"""``emitrace-agent init``: ask what is beside the meter, write a plan and agent.toml for it, and check both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.config import load_config
from agent.console import say, told
from agent.site import load_site
from protocols.errors import EmitraceError
from protocols.modbus.maps import load_map
from protocols.modbus.registermap import RegisterMap
from protocols.quantities import Quantity


class InitError(EmitraceError):
    """What was answered makes no site."""


UNKNOWN = "0" * 64
"""A fingerprint that `emitrace-agent enroll` is to replace."""


def _asked(text: str, help_text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(prompt=text, help=help_text, show_default=False)
    return option


def init(
    organisation: Annotated[str, _asked("Organisation, its id (such as example-works)", "Id of the organisation.")],
    organisation_name: Annotated[str, _asked("Organisation, its name", "Name of the organisation.")],
    facility: Annotated[str, _asked("Facility, its id (such as site-1)", "Id of the facility.")],
    facility_name: Annotated[str, _asked("Facility, its name", "Name of the facility.")],
    kind: Annotated[str, _asked("Bus: tcp, rtu or rtu-over-tcp", "Kind of the bus: tcp, rtu or rtu-over-tcp.")],
    place: Annotated[str, _asked("Where it is (HOST, HOST:PORT, or /dev/serial/by-id/...)", "Address or port.")],
    model: Annotated[str, _asked("Register map ('emitrace-agent map list')", "Register map of the meter.")],
    serial: Annotated[str, _asked("Serial number on the meter's name plate", "Serial number of the meter.")],
    max_kw: Annotated[float, _asked("Greatest power there can be [kW]", "Greatest power there can be. [kW]")],
    factor: Annotated[str, _asked("Emission factor of the grid [kgCO2/kWh]", "Factor of the grid. [kgCO2/kWh]")],
    factor_source: Annotated[str, _asked("Where that factor is published", "Where that factor is published.")],
    factor_from: Annotated[str, _asked("Factor valid from (YYYY-MM-DD)", "First day the factor is valid.")],
    fingerprint: Annotated[
        str, _asked("Collector's fingerprint (Enter: enrol later)", "As 'emitrace-collector key' prints it.")
    ] = UNKNOWN,
    broker: Annotated[
        str, _asked("Broker (HOST or HOST:PORT; Enter: enrol later)", "The MQTT broker; 'enroll' brings it too.")
    ] = "127.0.0.1",
    folder: Annotated[Path, typer.Option(help="Where plan.toml and agent.toml are written.")] = Path(),
    unit: Annotated[int, typer.Option(min=0, max=255, help="Unit id of the meter.")] = 1,
    baud: Annotated[int, typer.Option(help="Of a serial line.")] = 9600,
    parity: Annotated[str, typer.Option(help="Of a serial line: none, even or odd.")] = "none",
    accuracy: Annotated[str, typer.Option(help="Accuracy class on the name plate.")] = "1",
    ct_ratio: Annotated[str, typer.Option(help="Current transformer ratio where registers are secondary.")] = "1",
    pt_ratio: Annotated[str, typer.Option(help="Voltage transformer ratio where registers are secondary.")] = "1",
    username: Annotated[str, typer.Option(help="Broker user; the password stands in a file broker-password.")] = "",
    time_zone: Annotated[str, typer.Option(help="Of the facility.")] = "Asia/Shanghai",
) -> None:
    """Ask, write a plan for one electricity meter and its agent.toml, and check both; nothing is overwritten."""
    with told():
        plan = _plan(
            organisation, organisation_name, facility, facility_name, time_zone, model, serial, unit, accuracy,
            ct_ratio, pt_ratio, max_kw, factor, factor_source, factor_from,
        )  # fmt: skip
        settings = _settings(kind, place, baud, parity, fingerprint, broker, username)
        _write(folder, {"plan.toml": plan, "agent.toml": settings})
    say(f"wrote {folder / 'plan.toml'} and {folder / 'agent.toml'}; both are right in themselves")
    first = "enroll" if fingerprint == UNKNOWN else "key"
    say(f"next: emitrace-agent {first}, emitrace-agent check-config, emitrace-agent scan, emitrace-agent commission")


def _plan(
    organisation: str, organisation_name: str, facility: str, facility_name: str, zone: str, model: str, serial: str,
    unit: int, accuracy: str, ct_ratio: str, pt_ratio: str, max_kw: float, factor: str, factor_source: str,
    factor_from: str,
) -> str:  # fmt: skip
    """The text of a plan with one meter and one source."""
    register_map = load_map(model)[0]
    energy = _whole(register_map, Quantity.ACTIVE_ENERGY_IMPORT, "energy_import")
    power = _whole(register_map, Quantity.ACTIVE_POWER, "power_total", "power")
    if not energy:
        parts = [r.name for r in register_map.registers if r.quantity is Quantity.ACTIVE_ENERGY_IMPORT]
        seen = f"has imported energy in parts: {', '.join(parts)}" if parts else "has no register of imported energy"
        hint = "write the plan by hand for it (docs/plan.md), or name an electricity meter"
        raise InitError(f"map {model}", seen, hint)
    secondary = (ct_ratio, pt_ratio) != ("1", "1")
    ratios = f"ct_ratio = {_text(ct_ratio)}\npt_ratio = {_text(pt_ratio)}\n" if secondary else ""
    limits = f'{{ class = {_text(accuracy)}, percent_of_reading = {_percent(accuracy)}, source = "name plate" }}'
    shows_power = f"""
[[points]]
id = "em-1.power"
instrument = "em-1"
register = {_text(power)}
scan_class = "meters"
"""
    return f"""# Written by emitrace-agent init. Every key is explained in docs/plan.md.
schema = 1
version = "1"

[organisation]
id = {_text(organisation)}
name = {_both(organisation_name)}

[facility]
id = {_text(facility)}
name = {_both(facility_name)}
time_zone = {_text(zone)}

[[scan_classes]]
id = "meters"
interval_ms = 1000

[[buses]]
id = "line-a"

[[instruments]]
id = "em-1"
name = {{ zh = "电能表", en = "Electricity meter" }}
serial = {_text(serial)}
map = {_text(model)}
bus = "line-a"
unit = {unit}
regime = "mandatory-periodic"
registers = "{"secondary" if secondary else "primary"}"
{ratios}accuracy = {limits}

[[points]]
id = "em-1.energy"
instrument = "em-1"
register = {_text(energy)}
scan_class = "meters"
max_rate = {max_kw:g}
max_rate_unit = "kWh/h"
{shows_power if power else ""}
[[sources]]
id = "grid"
name = {{ zh = "外购电力", en = "Purchased electricity" }}
kind = "purchased-electricity"
category = 2
method = "electricity"
gases = ["CO2"]
inputs = {{ add = ["em-1.energy"] }}
factors = {{ CO2 = ["grid-factor"] }}

[[factors]]
id = "grid-factor"
name = {{ zh = "电网排放因子", en = "Emission factor of the grid" }}
value = {_text(factor)}
unit = "kgCO2/kWh"
uncertainty_percent = 5
source = {_text(factor_source)}
valid_from = {factor_from}
confidence = "unverified"
"""


def _whole(register_map: RegisterMap, quantity: Quantity, *names: str) -> str:
    """The register of the whole meter, by the names maps give it; neither a phase, a tariff nor a sum with export."""
    held = {register.name for register in register_map.registers if register.quantity is quantity}
    return next((name for name in names if name in held), "")


def _settings(kind: str, place: str, baud: int, parity: str, fingerprint: str, broker: str, username: str) -> str:
    """The text of agent.toml."""
    if kind == "rtu":
        bus = f"port = {_text(place)}\nbaud = {baud}\nparity = {_text(parity)}\n"
    else:
        host, port = _host(place)
        bus = f"host = {_text(host)}\n" + (f"port = {port}\n" if port else "")
    host, port = _host(broker)
    user = f'username = {_text(username)}\npassword_file = "broker-password"\n' if username else ""
    return f"""# Written by emitrace-agent init. Every key is explained in agent.example.toml.
[collector]
fingerprint = {_text(fingerprint)}

[broker]
host = {_text(host)}
{f"port = {port}{chr(10)}" if port else ""}{user}
[buses.line-a]
kind = {_text(kind)}
{bus}"""


def _write(folder: Path, texts: dict[str, str]) -> None:
    """All files, once they are right; none of them otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in texts:
        if (folder / name).exists():
            raise InitError(str(folder / name), "is there already", "take it away, or choose another --folder")
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        load_site(load_config(folder / "agent.toml"))
    except BaseException:
        for name in texts:
            (folder / name).unlink(missing_ok=True)
        raise


def _host(text: str) -> tuple[str, str]:
    """Host and port, the latter empty where none is named; an IPv6 address with a port stands in brackets."""
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), port
    return text.strip("[]"), ""


def _percent(accuracy: str) -> str:
    """A class such as 0.5S is named by its percent."""
    found = accuracy.rstrip("sS ")
    if not found.replace(".", "", 1).isdecimal():
        hint = "give --accuracy 1, 0.5S or the like"
        raise InitError(f"accuracy class {accuracy}", "is not named by a percent", hint)
    return found


def _text(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False)


def _both(text: str) -> str:
    return f"{{ zh = {_text(text)}, en = {_text(text)} }}"
