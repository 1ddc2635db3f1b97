from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from agent.config import Config, Settings, load_config
from agent.endpoint import TlsBus
from agent.site import load_site
from protocols.errors import InputErrors
from tests.agent.rig import PLAN, write_agent

EXAMPLE = files("agent") / "agent.example.toml"


def test_the_example_loads_and_names_every_key(tmp_path: Path) -> None:
    """agent.example.toml is a valid configuration in which no key is left to guess."""
    path = tmp_path / "agent.toml"
    path.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    config = load_config(path)

    def unset(table: object, where: str) -> list[str]:
        missing = []
        for name, field in type(table).model_fields.items():  # type: ignore[attr-defined]
            value = getattr(table, name)
            if name not in table.model_fields_set:  # type: ignore[attr-defined]
                missing.append(f"{where}{name}")
            for inner in value.values() if isinstance(value, dict) else [value]:
                if hasattr(inner, "model_fields_set"):
                    missing += unset(inner, f"{where}{name}.")
            assert field.annotation is not None
        return missing

    assert [] == unset(config.settings, "")
    assert isinstance(config.settings, Settings)


def test_every_key_of_the_example_is_explained() -> None:
    """A comment stands above each key or above the group it belongs to."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for at, line in enumerate(lines)
        if "=" in line and not line.startswith("#") and not any(
            above.startswith("#") for above in lines[max(at - 2, 0) : at]
        )
    ]

    assert [] == bare


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Where the program is started from does not matter."""
    extra = 'username = "site"\npassword_file = "secrets/broker"\ntls_ca = "/etc/ca.pem"'
    config = write_agent(tmp_path, 502, 1883, extra=extra)

    assert (tmp_path / "plan.toml", tmp_path / "state", tmp_path / "agent.key") == (
        config.plan, config.state_dir, config.key_file,
    )
    assert tmp_path / "secrets" / "broker" == config.password_file
    assert Path("/etc/ca.pem") == config.tls_ca


def with_bus(folder: Path, table: str) -> Path:
    """An agent.toml whose only bus has these lines."""
    path = write_agent(folder, 502, 1883).file
    before, _, rest = path.read_text().partition("[buses.line-a]")
    path.write_text(f"{before}[buses.line-a]\n{table}\n[journal]{rest.partition('[journal]')[2]}")
    return path


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('kind = "dlt645"\nhost = "h"', "needs a gateway to Modbus"),
        ('kind = "rtu-over-tpc"\nhost = "h"\nport = 1', "did you mean 'rtu-over-tcp'?"),
        ('host = "h"', "buses.line-a.kind: the key is missing"),
        ('kind = "rtu"\nport = "/dev/ttyUSB0"\nbuad = 9600', "unknown key 'buad'. did you mean 'baud'?"),
        ('kind = "rtu"\nport = "COM3"', "buses.line-a.port"),
        ('kind = "rtu"\nport = "/dev/ttyUSB0"\nparity = "E"', "one of none, even, odd"),
        ('kind = "rtu-over-tcp"\nhost = "h"', "buses.line-a.port: the key is missing"),
        ('kind = "tls"\nhost = "h"\nca = "ca.pem"\ncert = "c.pem"', "cert and key go together"),
    ],
)
def test_a_wrong_bus_is_told_in_the_words_of_its_kind(tmp_path: Path, table: str, expected: str) -> None:
    """Each kind has its own keys; what is no Modbus is told what to put between."""
    path = with_bus(tmp_path, table)
    with pytest.raises(InputErrors) as told:
        load_config(path)

    assert expected in str(told.value)


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('kind = "tcp"\nhost = "gateway"', "gateway:502"),
        ('kind = "tls"\nhost = "gateway"\nca = "ca.pem"', "gateway:802 through TLS"),
        ('kind = "rtu"\nport = "/dev/ttyUSB0"\nparity = "even"', "/dev/ttyUSB0, 9600 baud, 8E1"),
        ('kind = "rtu-over-tcp"\nhost = "gateway"\nport = 4001', "gateway:4001, RTU frames"),
    ],
)
def test_every_kind_of_bus_says_where_it_is(tmp_path: Path, table: str, place: str) -> None:
    """As check-config prints it; paths of a TLS bus stand beside agent.toml."""
    bus = load_config(with_bus(tmp_path, table)).bus("line-a")

    assert bus.place == place
    assert not isinstance(bus, TlsBus) or bus.ca == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        ("timeout_s = 0.2", "timout_s = 0.2", "unknown key 'timout_s'. did you mean 'timeout_s'?"),
        ('kind = "tcp"', 'kind = "tpc"', "did you mean 'tcp'?"),
        ("commit_s = 0.1", "commit_s = 900", "journal.commit_s: 900"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line(tmp_path: Path, wrong: str, right: str, expected: str) -> None:
    """File, line, field, what was seen, and the nearest valid name."""
    path = write_agent(tmp_path, 502, 1883).file
    text = path.read_text().replace(wrong, right)
    path.write_text(text)
    line = next(at for at, row in enumerate(text.splitlines(), 1) if right in row)
    with pytest.raises(InputErrors) as caught:
        load_config(path)

    assert f"{path}:{line}: " in str(caught.value)
    assert expected in str(caught.value)


def _with_bus(config: Config, name: str) -> Config:
    config.file.write_text(config.file.read_text().replace("[buses.line-a]", f"[buses.{name}]"))
    return load_config(config.file)


def test_a_bus_without_an_endpoint_is_named(tmp_path: Path) -> None:
    """Both the missing bus and the superfluous table are told, with what would be right."""
    config = _with_bus(write_agent(tmp_path, 502, 1883), "line-b")
    with pytest.raises(InputErrors) as caught:
        load_site(config)

    assert "no table for bus 'line-a' of plan.toml. add [buses.line-a]" in str(caught.value)
    assert "buses.line-b: the plan has no such bus. its buses: line-a" in str(caught.value)


def test_a_broken_plan_is_named_by_its_own_file(tmp_path: Path) -> None:
    """Errors of the plan point into plan.toml."""
    config = write_agent(tmp_path, 502, 1883, plan=PLAN.replace('register = "power_total"', 'register = "power_totl"'))
    with pytest.raises(InputErrors) as caught:
        load_site(config)

    assert "plan.toml:" in str(caught.value)
    assert "did you mean 'power_total'?" in str(caught.value)


@pytest.mark.parametrize("host", ["mqtt://broker", "broker:1883", "broker/path", "a broker", ""])
def test_a_host_is_a_name_or_an_address_and_nothing_else(tmp_path: Path, host: str) -> None:
    """What would fail at the first connection, in a log, is told before."""
    config = write_agent(tmp_path, 502, 1883)
    config.file.write_text(config.file.read_text().replace('host = "127.0.0.1"', f'host = "{host}"', 1))

    with pytest.raises(InputErrors, match=r"broker\.host: .*a host name or an address alone"):
        load_config(config.file)


@pytest.mark.parametrize("host", ["broker", "broker.example.org", "192.0.2.1", "::1", "2001:db8::5"])
def test_names_and_addresses_are_hosts(tmp_path: Path, host: str) -> None:
    """IPv6 addresses have colons of their own."""
    config = write_agent(tmp_path, 502, 1883)
    config.file.write_text(config.file.read_text().replace("127.0.0.1", host))

    assert host == load_config(config.file).settings.broker.host


def test_a_password_is_of_somebody(tmp_path: Path) -> None:
    """MQTT knows no password without a user name."""
    with pytest.raises(InputErrors, match="a password_file without username"):
        write_agent(tmp_path, 502, 1883, extra='password_file = "broker"')
