from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent import __main__ as program
from agent.clock import KernelClock
from agent.commands import app
from agent.health import Health
from agent.log import keep_secret, line, start_logging
from agent.service import serve
from protocols.records import Fate
from protocols.wire.keys import fingerprint
from tests.agent.rig import PLAN, Endpoint, write_agent
from tests.services import free_port

COMMANDS = ["run", "check-config", "key", "plan", "status", "outbox"]
WEB = {"fastapi", "starlette", "uvicorn", "jinja2", "sqlalchemy"}


def invoke(*arguments: str | Path) -> tuple[int, str]:
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if root.handlers != handlers:  # `run` logs to a stream that ends with it
        root.handlers[:] = handlers
    return result.exit_code, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    """A technician can ask each command what it does."""
    code, said = invoke(command, "--help")

    assert 0 == code
    assert "--config" in said


def test_check_config_prints_what_holds(tmp_path: Path) -> None:
    """Plan digest, buses, broker and fingerprints, without touching the state folder."""
    config = write_agent(tmp_path, 5020, 1883, collector="c" * 64)
    code, said = invoke("check-config", "--config", config.file)

    assert 0 == code
    assert "bus         line-a at 127.0.0.1:5020, timeout 0.2 s" in said
    assert f"collector   {'c' * 64}" in said
    assert not config.state_dir.exists()


def test_a_configuration_error_is_told_on_stderr_with_exit_code_2(tmp_path: Path) -> None:
    """What, where, what was seen; no traceback."""
    config = write_agent(tmp_path, 5020, 1883)
    config.file.write_text(config.file.read_text().replace("port = 5020", "port = 70000"))
    code, said = invoke("check-config", "--config", config.file)

    assert 2 == code
    assert "buses.line-a.port: 70000" in said
    assert "Traceback" not in said


def test_check_config_tells_every_file_that_is_wrong(tmp_path: Path) -> None:
    """Plan, key, password and the example's fingerprint in one go."""
    config = write_agent(tmp_path, 5020, 1883, extra='username = "site"\npassword_file = "absent"')
    config.plan.unlink()
    config.key_file.unlink()
    code, said = invoke("check-config", "--config", config.file)

    assert 2 == code
    starts = [
        f"emitrace-agent: {config.plan}: No such file",
        f"emitrace-agent: key {config.key_file}: cannot be read",
        f"emitrace-agent: broker password {tmp_path / 'absent'}: cannot be read",
        f"emitrace-agent: {config.file}:3: collector.fingerprint: still the zeros",
    ]
    assert starts == [row[: len(start)] for row, start in zip(said.splitlines(), starts, strict=True)]


def test_check_config_opens_what_a_bus_needs_for_tls(tmp_path: Path) -> None:
    """Of a bus that no plan names yet, too."""
    config = write_agent(tmp_path, 5020, 1883, "c" * 64)
    with config.file.open("a") as file:
        file.write('\n[buses.spare]\nkind = "tls"\nhost = "gateway"\nca = "absent.pem"\n')
    code, said = invoke("check-config", "--config", config.file)

    assert 2 == code
    assert f"bus at gateway:802 through TLS: ca {tmp_path / 'absent.pem'} is not usable: No such file" in said


def test_the_own_fingerprint_is_not_the_collectors(tmp_path: Path) -> None:
    """Two fingerprints look alike; the wrong one is named where it stands."""
    config = write_agent(tmp_path, 5020, 1883)
    own = invoke("key", "--config", config.file)[1].split()[-1]
    write_agent(tmp_path, 5020, 1883, collector=own)
    code, said = invoke("check-config", "--config", config.file)

    assert 2 == code
    assert ":3: collector.fingerprint: the fingerprint of this agent's own key" in said


@pytest.mark.parametrize(
    ("content", "seen"),
    [(b"", "the first line is empty"), (b"\n", "the first line is empty"), (b"\xc3\xdc\xc2\xeb", "is not UTF-8")],
)
def test_a_password_file_without_a_password_is_told(tmp_path: Path, content: bytes, seen: str) -> None:
    """Before the broker refuses it for a reason nobody sees."""
    (tmp_path / "broker").write_bytes(content)
    config = write_agent(tmp_path, 5020, 1883, "c" * 64, extra='username = "site"\npassword_file = "broker"')

    code, said = invoke("check-config", "--config", config.file)

    assert 2 == code
    assert f"emitrace-agent: broker password {tmp_path / 'broker'}: {seen}" in said


@pytest.mark.parametrize("command", ["run", "status"])
def test_a_state_folder_that_is_none_is_told_with_exit_code_3(tmp_path: Path, command: str) -> None:
    """A file in its place, as an unreadable folder, is an environment error and no traceback."""
    config = write_agent(tmp_path, 5020, 1883)
    config.state_dir.write_text("")
    code, said = invoke(command, "--config", config.file)

    assert 3 == code
    assert f"emitrace-agent: {config.state_dir}" in said
    assert "check the path, the disk" in said


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """The first call makes it, readable by its owner only; later calls print the same."""
    config = write_agent(tmp_path, 5020, 1883)
    config.key_file.unlink()
    first, second = invoke("key", "--config", config.file), invoke("key", "--config", config.file)
    public = bytes.fromhex(first[1].split()[2])

    assert (0, 0) == (first[0], second[0])
    assert first[1] == second[1]
    assert fingerprint(public) in first[1]
    assert 0o600 == config.key_file.stat().st_mode & 0o777


def test_the_read_plan_is_explained(tmp_path: Path) -> None:
    """Time of each request, load of each class on its bus, and a class that the line cannot serve."""
    file = write_agent(tmp_path, 5020, 1883).file
    plain = invoke("plan", "--config", file)[1]
    code, said = invoke("plan", "--explain", "--turnaround-ms", "10", "--config", file)

    assert 0 == code
    assert set(plain.splitlines()) < set(said.splitlines())
    assert "% " not in plain
    assert said.count(" registers, 10.0 ms\n") == len(plain.splitlines())
    assert "ms left" in said
    assert "the bus cannot keep up" in invoke("plan", "--explain", "--turnaround-ms", "5000", "--config", file)[1]
    assert "reading over a gap of up to 31 registers pays" in (
        invoke("plan", "--explain", "--turnaround-ms", "50", "--baud", "9600", "--config", file)[1]
    )


def test_a_plan_that_states_its_line_is_explained_by_it(tmp_path: Path) -> None:
    """Options try another line; check-config warns of a class, or of all together, that the line cannot serve."""
    def said(line: str, *command: str) -> str:
        plan = PLAN.replace('[[buses]]\nid = "line-a"\n', f'[[buses]]\nid = "line-a"\nline = {{ {line} }}\n')
        assert plan != PLAN
        code, text = invoke(*command, "--config", write_agent(tmp_path, 5020, 1883, "c" * 64, plan=plan).file)
        assert 0 == code
        return text

    explained = said("turnaround_ms = 50, baud = 9600", "plan", "--explain")
    assert "bus line-a: reading over a gap of up to 31 registers pays" in explained
    assert "bus line-a: busy " in explained
    assert "up to 125 registers" in said("turnaround_ms = 50, baud = 9600", "plan", "--explain", "--baud", "0")
    assert "warning" not in said("turnaround_ms = 5", "check-config")
    assert "warning     bus line-a: a round of " in said("turnaround_ms = 5000", "check-config")


def test_the_read_plan_is_printed(tmp_path: Path) -> None:
    """Each request with its points."""
    code, said = invoke("plan", "--config", write_agent(tmp_path, 5020, 1883).file)

    assert 0 == code
    assert "registers 52-73" in said
    assert "em-1.energy" in said


async def test_status_and_outbox_are_read_beside_a_running_agent(tmp_path: Path) -> None:
    """JSON for machines; exit 0 while it runs and 1 when it does not; seconds after the start it shows the meters."""
    meter = await Endpoint().start()
    config = write_agent(tmp_path, meter.port, free_port())
    assert 1 == (await asyncio.to_thread(invoke, "status", "--json", "--config", config.file))[0]
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    async with asyncio.timeout(40):
        while True:
            code, said = await asyncio.to_thread(invoke, "status", "--json", "--config", config.file)
            seen = json.loads(said) if code == 0 else {"sequence": None}
            if (seen.get("sequence") or 0) >= 2 and seen["units"]:
                break
            await asyncio.sleep(0.1)
    told = json.loads(said)
    listed = json.loads((await asyncio.to_thread(invoke, "outbox", "--json", "--config", config.file))[1])
    stop.set()
    await task
    await meter.stop()

    assert ("running", "disconnected", told["sequence"] + 1) == (told["phase"], told["broker"], told["backlog_items"])
    assert ["batch", "batch", "plan"] == [row["kind"] for row in listed][-3:]
    told = json.loads((await asyncio.to_thread(invoke, "status", "--json", "--config", config.file))[1])
    assert {"line-a"} == set(told["buses"])
    assert {"line-a/1": told["buses"]["line-a"]} == told["units"]
    assert 0 == told["set_aside"]
    code, said = await asyncio.to_thread(invoke, "status", "--config", config.file)
    assert 1 == code
    assert "units          line-a/1: good " in said
    assert (0, "[]\n") == await asyncio.to_thread(invoke, "outbox", "--set-aside", "--json", "--config", config.file)


def test_fates_are_counted_by_bus_and_by_unit() -> None:
    """One silent unit does not hide among the others; an exception keeps its number."""
    health = Health("a" * 64, "test")
    for unit, fate in ((1, Fate.GOOD), (1, Fate.GOOD), (2, Fate.TIMEOUT), (3, Fate.EXCEPTION | 2 << 8)):
        health.count("line-a", unit, fate)

    assert {"line-a": {"good": 2, "timeout": 1, "exception": 1}} == health.buses
    assert {"line-a/1": {"good": 2}, "line-a/2": {"timeout": 1}, "line-a/3": {"exception 2": 1}} == health.units


WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
from agent.__main__ import main
main()
"""


@pytest.mark.parametrize("library", sorted(program.EXTRA))
def test_a_missing_library_names_the_extra(library: str) -> None:
    """A base install says what to install, with exit code 3."""
    ended = subprocess.run([sys.executable, "-c", WITHOUT, library], capture_output=True, text=True, check=False)

    assert 3 == ended.returncode
    assert f"emitrace-agent: {library}" in ended.stderr
    assert "pip install 'emitrace[agent]'" in ended.stderr


def test_the_running_program_loads_no_web_stack() -> None:
    """Everything `run` imports, in a fresh interpreter."""
    code = "import sys, agent.commands; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert set() == WEB & set(loaded)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_never_reaches_the_log(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Whoever logs it, and however it got into the line; each line says when in UTC, as text or as one JSON object."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        start_logging(form)
        keep_secret("hunter2hunter2")
        logging.getLogger("agent.x").info(line("event", password="hunter2hunter2", n=1))
        logging.getLogger("other").warning("connect %s", "user:hunter2hunter2@host")
    finally:
        logging.getLogger().handlers[:], _ = before
        logging.getLogger().setLevel(before[1])
    said = capsys.readouterr().err
    first = said.splitlines()[0]
    if form == "json":
        told = json.loads(first)
        at, rest = told.pop("time"), told
        assert {"level": "info", "logger": "agent.x", "event": "event", "password": "***", "n": 1} == rest
    else:
        at, _, words = first.partition(" ")
        assert words == "INFO agent.x event password=*** n=1"

    assert abs((datetime.now(UTC) - datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%f%z")).total_seconds()) < 120
    assert at.endswith("Z")
    assert "hunter2hunter2" not in said


def test_a_log_line_quotes_what_has_spaces() -> None:
    """Each field stays one field."""
    assert "gone why='no route' n=3 empty=''" == str(line("gone", why="no route", n=3, empty=""))
