"""What `init` writes is right, and what is wrong is never written."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.commands import app
from agent.config import load_config
from agent.endpoint import RtuBus, TcpBus
from agent.site import load_site
from tests.agent.test_commands import invoke

SAID = {
    "organisation": "works", "organisation-name": "示例工厂", "facility": "site-1", "facility-name": 'Site "1"',
    "kind": "tcp", "place": "192.0.2.1:1502", "model": "eastron-sdm630", "serial": "A1", "max-kw": "100",
    "factor": "0.5306", "factor-source": "a notice", "factor-from": "2024-01-01", "fingerprint": "c" * 64,
    "broker": "broker.example.org:8883",
}  # fmt: skip


def said(**other: str) -> list[str]:
    return [part for name, text in {**SAID, **other}.items() for part in (f"--{name}", text)]


def test_answers_make_a_valid_site(tmp_path: Path) -> None:
    """Asked one after the other: plan and agent.toml load, with energy, power and the bus as answered."""
    done = CliRunner().invoke(app, ["init", "--folder", str(tmp_path)], input="\n".join(SAID.values()) + "\n")
    site = load_site(load_config(tmp_path / "agent.toml"))

    assert 0 == done.exit_code, done.output
    assert ["em-1.energy", "em-1.power"] == [point.id for point in site.reading.bound.points]
    assert (TcpBus(kind="tcp", host="192.0.2.1", port=1502),) == site.endpoints


def test_options_make_a_serial_line_with_transformers(tmp_path: Path) -> None:
    """Without a question: registers are secondary, ratios stand in the plan."""
    options = said(kind="rtu", place="/dev/serial/by-id/usb-1", model="acrel-adl3000-e")
    code, told = invoke("init", *options, "--ct-ratio", "40", "--accuracy", "0.5S", "--folder", tmp_path)
    site = load_site(load_config(tmp_path / "agent.toml"))
    (meter,) = site.reading.bound.plan.instruments

    assert 0 == code, told
    assert ("secondary", Decimal(40)) == (meter.registers, meter.ct_ratio)
    assert isinstance(site.endpoints[0], RtuBus)


@pytest.mark.parametrize(
    ("model", "registers"),
    [
        ("eastron-sdm630", ["energy_import", "power_total"]), ("hiking-dds238-2", ["energy_import", "power"]),
        ("acrel-adl3000-e", ["energy_import"]),
    ],
)  # fmt: skip
def test_registers_are_those_of_the_whole_meter(tmp_path: Path, model: str, registers: list[str]) -> None:
    """Neither one phase of three, nor a total that counts export too."""
    code, told = invoke("init", *said(model=model), "--folder", tmp_path)
    points = load_site(load_config(tmp_path / "agent.toml")).reading.bound.points

    assert 0 == code, told
    assert registers == [point.register.name for point in points]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("model", "no-such", "no-such"), ("model", "gf-u3000", "no register of imported energy"),
        ("model", "siemens-pac4200", "energy_import_tariff_1, energy_import_tariff_2"),
        ("kind", "hj212", "gateway"), ("factor-from", "soon", "plan.toml"), ("fingerprint", "12", "fingerprint"),
        ("organisation", "A b", "id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_not_written(tmp_path: Path, name: str, text: str, told: str) -> None:
    """The answer that is wrong is named, and no file stays."""
    code, output = invoke("init", *said(**{name: text}), "--folder", tmp_path)

    assert 2 == code
    assert told in output
    assert [] == list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second time it says that the files are there."""
    first, _ = invoke("init", *said(), "--folder", tmp_path)
    before = (tmp_path / "plan.toml").read_text()
    second, told = invoke("init", *said(serial="B2"), "--folder", tmp_path)

    assert (0, 2) == (first, second)
    assert "is there already" in told
    assert before == (tmp_path / "plan.toml").read_text()
