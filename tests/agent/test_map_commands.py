import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.commands import app
from protocols.modbus.maps import load_map, map_names

PAGE = (Path(__file__).parents[2] / "docs" / "register-maps.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
PRINTED, FAULT = re.findall(r"\n\n```\n(.*?)```", PAGE, re.DOTALL)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["map", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``maps/example-heat-meter.toml`` of the documentation, where the commands run."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "example-heat-meter.toml").write_text(EXAMPLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documented_map_prints_what_the_page_says(folder: Path) -> None:
    """The page's example, checked by the page's command, prints the page's lines."""
    assert (0, PRINTED, "") == run("check", "maps/example-heat-meter.toml")
    assert folder.exists()


def test_a_fault_in_the_documented_map_is_told_as_the_page_says(folder: Path) -> None:
    """Line, field, what was seen, what to do; exit code 2."""
    broken = EXAMPLE.replace('1 = "battery low"', '99 = "battery low"')
    (folder / "maps" / "example-heat-meter.toml").write_text(broken, encoding="utf-8")

    assert (2, "", f"emitrace-agent: {FAULT}") == run("check", "maps/example-heat-meter.toml")


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    """Neither a file nor a packaged map."""
    code, said, error = run("check", "maps/none.toml")

    assert (2, "") == (code, said)
    assert error.startswith("emitrace-agent: maps/none.toml")
    assert folder.exists()


def test_an_example_the_map_does_not_decode_to_is_refused(folder: Path) -> None:
    """A decimal point in the wrong place shows at once."""
    broken = EXAMPLE.replace('scale = 0.1\nunit = "MWh"', 'scale = 0.01\nunit = "MWh"')
    (folder / "maps" / "example-heat-meter.toml").write_text(broken, encoding="utf-8")
    code, _, error = run("check", "maps/example-heat-meter.toml")

    assert 2 == code
    assert "examples[0].value: 12345.6, but the map makes it 1234.56 MWh" in error


@pytest.mark.parametrize("model", map_names())
def test_a_packaged_map_is_checked_by_its_name(model: str) -> None:
    """Every register is printed once, and every example."""
    register_map, _ = load_map(model)
    code, said, _ = run("check", model)

    assert 0 == code
    assert len(register_map.registers) == said.count("\nregister ")
    assert len(register_map.examples) == said.count("\nexample  ") - (not register_map.examples)


def test_the_list_shows_each_map_with_its_status() -> None:
    """Best known first, and how many of each at the end."""
    code, said, _ = run("list")
    lines = said.splitlines()
    statuses = [load_map(model)[0].status for model in map_names()]

    assert 0 == code
    assert len(map_names()) + 1 == len(lines)
    assert f"{statuses.count('confirmed')} confirmed, {statuses.count('second-hand')} second-hand" in lines[-1]
    assert lines[0].startswith("confirmed")


def test_the_list_as_json() -> None:
    """One object per map."""
    rows = json.loads(run("list", "--json")[1])

    assert sorted(map_names()) == sorted(row["model"] for row in rows)
    assert {"model", "maker", "title", "status"} == set(rows[0])
