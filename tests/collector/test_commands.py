from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from collector.books import open_books
from collector.commands import app
from collector.config import Config, Settings, load_config
from collector.ingest.gaps import FIRST_WAIT_S, LONGEST_WAIT_S, GapKeeper
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from protocols.errors import EmitraceError
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.test_inventory import CERTIFICATE

EXAMPLE = Path(__file__).parents[2] / "collector" / "collector.example.toml"


def run(folder: Path, *words: str) -> Result:
    """A command in a folder with a collector.toml."""
    path = folder / "collector.toml"
    if not path.exists():
        path.write_text("")
    return CliRunner().invoke(app, [*words, "--config", str(path)])


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, Edge]:
    """Books with a stream of four batches in the folder."""
    edge = stream(4, window_s=60)
    with open_books(Config(tmp_path / "collector.toml", Settings())) as books:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler house", START_MS)
        commit_group(books, [edge.message(n) for n in range(5)], START_MS)
    return tmp_path, edge


def test_the_example_configuration_is_valid() -> None:
    """The example loads and states every setting with its default or a placeholder."""
    settings = load_config(EXAMPLE).settings

    assert Settings().model_dump().keys() == settings.model_dump().keys()
    for name, table in Settings().model_dump().items():
        if isinstance(table, dict):
            written = EXAMPLE.read_text().split(f"[{name}]")[1].split("\n[")[0]
            assert [] == [key for key in table if not re.search(rf"(?m)^#? ?{key} = ", written)]


def test_a_wrong_key_names_line_and_nearest_name(tmp_path: Path) -> None:
    """Exit 2; the error names file, line, field and what was probably meant."""
    (tmp_path / "collector.toml").write_text('[broker]\nhots = "x"\n')
    result = run(tmp_path, "check-config")

    assert 2 == result.exit_code
    assert "collector.toml:2" in result.stderr
    assert "host" in result.stderr


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    """The same fingerprint every time, in a file only its owner reads."""
    first, second = run(tmp_path, "key"), run(tmp_path, "key")
    config = load_config(tmp_path / "collector.toml")

    assert (first.stdout, 0) == (second.stdout, second.exit_code)
    assert 2 == len(re.findall(r"\b[0-9a-f]{64}\b", first.stdout))
    assert 0o600 == stat.S_IMODE(config.key_file.stat().st_mode)


def test_agents_are_added_by_public_key(tmp_path: Path) -> None:
    """The id is the key's fingerprint; adding again renames; rubbish is refused."""
    edge = Edge()
    results = [
        run(tmp_path, "agents", "add", edge.public.hex()),
        run(tmp_path, "agents", "add", edge.public.hex(), "--name", "roof"),
        run(tmp_path, "agents", "add", edge.public.hex()),
        run(tmp_path, "agents", "add", "12ab"),
    ]
    listed = json.loads(run(tmp_path, "agents", "list", "--json").stdout)

    assert [0, 0, 0, 2] == [result.exit_code for result in results]
    assert [(edge.agent_id, "roof")] == [(one["agent"], one["name"]) for one in listed]
    assert "(roof) was registered already as" in results[1].stdout
    assert results[2].stdout.endswith("(roof) was registered already\n")


def test_certificates_are_entered_and_doubted(filled: tuple[Path, Edge]) -> None:
    """A fitting one is entered, one for another serial is entered with its doubt and exit 1, an edit is refused."""
    folder, _ = filled
    texts = {
        "good": CERTIFICATE,
        "doubt": CERTIFICATE.replace("c-1", "c-2").replace("E1", "E9"),
        "edited": CERTIFICATE.replace("N 1", "N 2"),
        "bad": CERTIFICATE.replace("valid_until", "valid_untill"),
    }
    results = {}
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
        results[name] = run(folder, "certificates", "add", str(folder / f"{name}.toml"))

    assert {"good": 0, "doubt": 1, "edited": 2, "bad": 2} == {n: r.exit_code for n, r in results.items()}
    assert "serial" in results["doubt"].stdout
    assert "bad.toml" in results["bad"].stderr
    listed = json.loads(run(folder, "certificates", "list", "--json").stdout)
    assert ["c-1", "c-2"] == [one["id"] for one in listed]


def test_certificates_before_any_plan_are_entered_with_a_note(tmp_path: Path) -> None:
    """Nothing to compare with is said, and is no finding."""
    (tmp_path / "c.toml").write_text(CERTIFICATE)
    result = run(tmp_path, "certificates", "add", str(tmp_path / "c.toml"))
    none = run(tmp_path, "certificates", "add", str(tmp_path / "none.toml"))

    assert (0, True) == (result.exit_code, "no monitoring plan" in result.stdout)
    assert (2, 1) == (none.exit_code, none.stderr.count("none.toml"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--from", "2026-02-01", "--to", "2026-01-01"), "--to"),
        (("--from", "0001-01-01", "--to", "2026-01-01"), "--from"),
        (("--from", "2026-01-01", "--to", "9999-12-31"), "--to"),
        (("--from", "2026-01-01T00:30", "--to", "2026-01-02"), "--from"),
        (("--from", "2026-01-01", "--to", "tomorrow"), "--to"),
    ],
)
def test_a_wrong_period_names_its_option(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    """Exit 2, in the words that were typed; nothing is built."""
    result = run(tmp_path, "inventory", "build", *words)

    assert (2, True) == (result.exit_code, result.stderr.startswith(f"{named}: "))
    assert "there is none" in run(tmp_path, "inventory", "show").stderr


def test_no_data_is_said_and_never_printed_as_zero(filled: tuple[Path, Edge]) -> None:
    """An inventory of a time without data says unknown for every source and for the total."""
    folder, _ = filled
    built = run(folder, "inventory", "build", "--from", "2024-01-01", "--to", "2024-01-02")

    assert 0 == built.exit_code
    assert (0, True) == (built.stdout.count("CO2e"), built.stdout.count("unknown") >= 3)


def test_an_inventory_is_built_shown_and_sealed(filled: tuple[Path, Edge]) -> None:
    """A period in ISO time; an unknown GWP set, a bad time and a second seal are refused."""
    folder, _ = filled
    period = ("--from", "2025-10-09T00:00:00+00:00", "--to", "2025-10-10T00:00:00+00:00")
    built = run(folder, "inventory", "build", *period, "--gwp", "AR5", "--json")
    shown = run(folder, "inventory", "show", "--json")
    codes = [
        run(folder, "inventory", "seal", "1").exit_code,
        run(folder, "inventory", "seal", "1").exit_code,
        run(folder, "inventory", "show", "9").exit_code,
        run(folder, "inventory", "build", *period, "--gwp", "AR9").exit_code,
        run(folder, "inventory", "build", "--from", "yesterday", "--to", "2099-01-01").exit_code,
    ]

    assert [0, 2, 2, 2, 2] == codes
    assert json.loads(built.stdout) == json.loads(shown.stdout)
    assert 2 == len(json.loads(built.stdout)["inventory"]["rows"])


def test_quarantine_is_a_finding(filled: tuple[Path, Edge]) -> None:
    """Exit 0 while it is empty, 1 with the reason once something is there."""
    folder, edge = filled
    before = run(folder, "quarantine").exit_code
    with open_books(load_config(folder / "collector.toml")) as books:
        commit_group(books, [(edge.message(0)[0], b"x")], START_MS)
    after = run(folder, "quarantine")

    assert (0, 1, True) == (before, after.exit_code, "malformed" in after.stdout)


def test_an_exported_bundle_verifies(filled: tuple[Path, Edge]) -> None:
    """The offline verifier holds a bundle of the hour consistent with both anchors, and open without any."""
    folder, edge = filled
    out = folder / "bundle.zip"
    hour = ("--from", "2025-10-09T00:00:00+00:00", "--to", "2025-10-10T00:00:00+00:00")
    sealed = run(folder, "inventory", "build", *hour, "--seal")
    exported = run(folder, "export", *hour, "--out", str(out))
    fingerprint = re.findall(r"\b[0-9a-f]{64}\b", run(folder, "key").stdout)[1]
    verify = [sys.executable, "-m", "collector.evidence.verify", str(out)]
    anchored, alone = (
        subprocess.run([*verify, *anchors], capture_output=True, text=True, check=False)
        for anchors in (("--trust", edge.agent_id, "--trust", fingerprint), ())
    )

    assert (0, 0) == (sealed.exit_code, exported.exit_code), exported.stderr
    assert (0, 4) == (anchored.returncode, alone.returncode), anchored.stdout + anchored.stderr


def test_missing_items_are_asked_for_ever_more_slowly() -> None:
    """The first asking waits for overtaken items, each further one twice as long, up to a bound."""
    now = [0.0]
    gaps = GapKeeper(lambda: now[0])
    gaps.note(("a", b"s"), ((2, 3),))
    asked: list[float] = []
    while len(asked) < 12:
        if gaps.due():
            asked.append(now[0])
        now[0] += 0.5
    waits = [b - a for a, b in pairwise(asked)]

    assert FIRST_WAIT_S / 2 == asked[0]
    assert [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, LONGEST_WAIT_S] == waits[:9]
    gaps.note(("a", b"s"), ())
    now[0] += 10_000
    assert [] == gaps.due()


def test_a_database_of_another_kind_is_refused(tmp_path: Path) -> None:
    """The error says what is supported."""
    config = Config(tmp_path / "c.toml", Settings.model_validate({"database": {"url": "mysql://h/d"}}))

    with pytest.raises(EmitraceError, match="backend mysql"), open_books(config):
        pass
