from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from simulators.faults.catalogue import FAULTS
from simulators.ledger import truth
from simulators.plant import build_plant
from simulators.scenario import load_scenario
from simulators.timeline import milliseconds

LOOPBACK = "127.0.0.1"
PROGRAM = [sys.executable, "-m", "simulators"]
START = "2026-03-01T00:00:00+08:00"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes of the test; what still runs at its end is killed."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def start(running: list[subprocess.Popen[str]], *arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start a command that serves; the process and the JSON line it announces itself with."""
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.append(process)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, json.loads(line)


def read_u32(port: int, unit: int, function: int, address: int) -> int:
    """A u32 over a raw socket."""
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(struct.pack(">HHHBBHH", 1, 0, 6, unit, function, address, 2))
        answer = b""
        while len(answer) < 13:
            answer += connection.recv(13 - len(answer))
    return int(struct.unpack(">I", answer[9:])[0])


def test_truth_prints_the_ledger_as_integers() -> None:
    """The command prints the ledger's integers for [from, to) as JSON."""
    span = ["--from", "2026-03-01T00:01:00+08:00", "--to", "2026-02-28T16:02:00Z"]
    done = run("truth", "--start", START, "--seed", "5", *span)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    plant = build_plant(load_scenario("demo"), 5, datetime.fromisoformat(START))
    expected = truth(plant, plant.start_ms + 60_000, plant.start_ms + 120_000)

    assert expected.emissions_mg == told["sources_mg"]
    assert expected.gas_ml == told["activity"]["gas_ml_at_0c"]
    assert expected.import_mwh == told["activity"]["import_milliwatt_hours"]
    assert told["sources_mg"]["boiler"]["CO2"] == told["sources_mg"]["boiler-stack"]["CO2"] > 5_000_000


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["truth", "--from", "yesterday", "--to", START], "--from 'yesterday': not an ISO 8601 instant"),
        (["truth", "--from", "2026-03-01T00:00:00", "--to", START], "no UTC offset"),
        (["truth", "--from", "2025-01-01T00:00:00Z", "--to", START], "plant starts at"),
        (["list", "--scenario", "dmeo"], "Known names: demo"),
        (["plant", "--start", "soon"], "--start 'soon'"),
        (["plant", "--fault", "bussy"], "'bussy': no such fault. Known: late-answer"),
        (["plant", "--fault", "busy unit=99"], "fault on unit 99: no such instrument. Units: 1, 2"),
        (["plant", "--tls-key", "server.key"], "give both or none"),
        (["truth", "--from", START, "--to", START, "--fault", "stop of=boiler"], "to: Field required"),
        (["broker", "--username", "u", "--password-file", "/nonexistent/password"], "Write the password into it"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_why(arguments: list[str], seen: str) -> None:
    """A wrong option ends with 2 and one line that says what was seen and what to do."""
    done = run(*arguments)

    assert done.returncode == 2
    assert seen in done.stderr
    assert "Traceback" not in done.stderr


def test_list_shows_instruments_registers_and_addresses() -> None:
    """The table and its JSON form name every register with unit id, function and address."""
    rows = json.loads(run("list", "--json").stdout)["registers"]
    table = run("list").stdout
    co2 = next(r for r in rows if r["register"] == "co2_dry")

    assert (240, 3, 6, "little", "second-hand") == (
        co2["unit"], co2["function"], co2["address"], co2["word_order"], co2["status"]
    )  # fmt: skip
    assert all(row["register"] in table for row in rows)


def test_faults_are_listed() -> None:
    """By the command, in JSON, and by the option of `plant`: the same list."""
    told = json.loads(run("faults", "--json").stdout)
    table, option = run("faults").stdout, run("plant", "--list-faults").stdout

    assert list(FAULTS) == [row["fault"] for row in told]
    assert table == option
    assert all(row["zh"] in table and row["en"] in table for row in told)


def test_faults_come_from_the_command_line_and_from_the_scenario(
    started: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Both take hold; the line at the start repeats them with instants, and the ledger understands these."""
    text = (resources.files("simulators") / "scenarios" / "demo.toml").read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(f'{text}\n[[faults]]\nkind = "zero-glitch"\nunit = 4\n', encoding="utf-8")
    stop = "stop of=office from=+0 to=+3600"
    process, ready = start(started, "plant", "--port", "0", "--scenario", str(own), "--fault", stop)
    zero = read_u32(int(ready["port"]), 4, 4, 0)
    power = read_u32(int(ready["port"]), 3, 4, 52)
    process.terminate()
    said = process.communicate(timeout=15)[1]
    glitch, stopped = ready["faults"]
    again = f"stop of=office from={stopped['from']} to={stopped['to']}"
    told = json.loads(run("truth", "--from", stopped["from"], "--to", stopped["to"], "--fault", again).stdout)

    assert (0, 0) == (zero, power)
    assert {"kind": "zero-glitch", "unit": 4} == glitch
    assert "unit 3: 1 requests, 2 registers" in said
    assert 0 == told["activity"]["import_milliwatt_hours"]["office"] < told["activity"]["gas_ml_at_0c"]
    assert "stop" == told["events"][0]["kind"]


def test_a_fault_that_no_line_can_show_is_told(started: list[subprocess.Popen[str]]) -> None:
    """Noise on Modbus TCP alone: served as ever, and said."""
    process, _ = start(started, "plant", "--port", "0", "--fault", "noise", "--fault", "busy")
    process.terminate()
    said = process.communicate(timeout=15)[1]

    assert "no line here can show noise" in said
    assert "busy" not in said


def test_a_start_in_the_future_is_told(started: list[subprocess.Popen[str]]) -> None:
    """Meters that stand still for a mistyped year are no surprise."""
    process, _ = start(started, "plant", "--port", "0", "--start", "2999-01-01T00:00:00Z")
    process.terminate()

    assert "its start lies in the future" in process.communicate(timeout=15)[1]


def test_a_killed_plant_started_again_goes_on_with_the_same_meters(started: list[subprocess.Popen[str]]) -> None:
    """After kill -9 the same start and seed on the same port continue the totaliser; SIGTERM ends with 0."""
    just_now = datetime.now().astimezone()
    at = ["--start", just_now.isoformat(timespec="seconds"), "--seed", "2"]
    first, ready = start(started, "plant", "--port", "0", *at)
    port = int(ready["port"])
    before = read_u32(port, 4, 4, 0)
    first.kill()
    first.wait()
    second, again = start(started, "plant", "--port", str(port), *at)
    after = read_u32(port, 4, 4, 0)
    second.terminate()

    assert ready["start_ms"] == again["start_ms"] == milliseconds(just_now) // 1000 * 1000
    assert 999_995_000 <= before <= after < before + 500  # 0.01 m3 each; 300 m3/h is 8 in a second
    assert second.wait(10) == 0
    assert "requests answered: 1" in (second.stderr.read() if second.stderr else "")


@pytest.mark.parametrize("command", [["plant"], ["broker", "--username", "tester", "--password-file", "password"]])
def test_a_port_in_use_is_exit_code_3(command: list[str], tmp_path: Path) -> None:
    """A port that is taken is a fault of the environment, told without a traceback."""
    (tmp_path / "password").write_text("secret\n", encoding="utf-8")
    arguments = [str(tmp_path / "password") if word == "password" else word for word in command]
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        done = run(*arguments, "--port", str(taken.getsockname()[1]))

    assert done.returncode == 3
    assert "choose another" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_extra_is_exit_code_3_and_names_what_to_install() -> None:
    """Without the extra the program says which package is missing and how to install it."""
    code = (
        "import sys; sys.modules['typer'] = None\n"
        "from simulators.__main__ import main; sys.argv = ['emitrace-simulate', 'list']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 3
    assert "typer is not installed" in done.stderr
    assert "emitrace[simulators]" in done.stderr


def test_the_broker_command_announces_its_port_and_ends_on_sigterm(
    started: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    """The command prints one JSON line when it listens and ends with 0 on SIGTERM."""
    password = tmp_path / "password"
    password.write_text("secret\n", encoding="utf-8")
    process, ready = start(started, "broker", "--port", "0", "--username", "tester", "--password-file", str(password))
    with socket.create_connection((LOOPBACK, int(ready["port"])), timeout=5):
        pass
    process.terminate()

    assert process.wait(15) == 0
