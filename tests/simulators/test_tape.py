from __future__ import annotations

import json
import re
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from protocols.records import Fate
from protocols.tape import TapeReader, Track
from simulators.commands import app
from simulators.instruments import build_devices
from simulators.plant import build_plant
from simulators.scenario import load_scenario

START = "2026-03-01T00:00:00+00:00"


def run(*words: str) -> Any:
    """Run the command in this process."""
    return CliRunner().invoke(app, ["tape", "--start", START, *words])


def spans(path: Path) -> tuple[TapeReader, list[tuple[Track, ...]]]:
    """A tape's reader and its spans."""
    with path.open("rb") as file:
        reader = TapeReader(file)
        return reader, [tracks for _, tracks in reader.spans()]


def test_a_tape_holds_what_the_instruments_show_when_they_answer(tmp_path: Path) -> None:
    """Every answer on the tape is the device's own at the instant it was given."""
    out = tmp_path / "a.tape"
    assert 0 == run("--days", "0.083333333", "--seed", "3", "--out", str(out)).exit_code
    reader, found = spans(out)
    plant = build_plant(load_scenario("demo"), 3, datetime.fromisoformat(START))
    devices = {device.instrument.unit: device for device in build_devices(plant)}

    assert reader.header.start_ms == plant.start_ms
    assert len(found) == 2
    for index, tracks in enumerate(found):
        for request, track in zip(reader.requests, tracks, strict=True):
            interval = reader.bound.intervals_ms[request.scan_class]
            due = reader.header.between(index)[0] + np.arange(track.fates.size) * interval
            for row in range(0, track.delay_ms.size, 37):
                shown = devices[request.unit].read(
                    request.function, request.address, request.count, int(due[row] + track.delay_ms[row])
                )
                assert track.registers[row].tolist() == shown


def test_a_tape_holds_stops_and_refuses_other_faults(tmp_path: Path) -> None:
    """What a tape cannot show is not left out in silence; the truth beside it knows the stop."""
    text = (resources.files("simulators") / "scenarios" / "demo.toml").read_text(encoding="utf-8")
    own, out = tmp_path / "own.toml", tmp_path / "a.tape"
    options = ("--days", "0.0416666667", "--scenario", str(own), "--out", str(out))
    own.write_text(f'{text}\n[[faults]]\nkind = "busy"\n', encoding="utf-8")
    refused = run(*options)
    own.write_text(f'{text}\n[[faults]]\nkind = "stop"\nof = "boiler"\nto = 3600\n', encoding="utf-8")
    written = run(*options)
    told = json.loads((tmp_path / "a.tape.truth.json").read_text(encoding="utf-8"))

    assert 2 == refused.exit_code
    assert "fault busy: a tape holds no faults but stops" in refused.output
    assert 0 == written.exit_code, written.output
    assert (
        0 == told["total"]["activity"]["gas_ml_at_0c"] < told["total"]["activity"]["import_milliwatt_hours"]["office"]
    )


def test_the_tape_is_the_same_however_many_processes_write_it(tmp_path: Path) -> None:
    """One process or two, twice or once: equal options give equal bytes; another seed gives others."""
    paths = [tmp_path / f"{name}.tape" for name in "abc"]
    for path, jobs, seed in zip(paths, ("1", "2", "1"), ("1", "1", "2"), strict=True):
        done = run("--days", "0.5", "--timeouts", "0.05", "--jobs", jobs, "--seed", seed, "--out", str(path))
        assert 0 == done.exit_code, done.output

    assert paths[0].read_bytes() == paths[1].read_bytes() != paths[2].read_bytes()


def test_timeouts_have_the_share_that_was_asked_for(tmp_path: Path) -> None:
    """A fifth of the requests is missing, as timeouts; without the option nothing is."""
    shares = []
    for share in ("0.2", "0"):
        out = tmp_path / "a.tape"
        run("--days", "0.25", "--timeouts", share, "--out", str(out))
        fates = np.concatenate([track.fates for tracks in spans(out)[1] for track in tracks])
        assert set(fates.tolist()) <= {Fate.GOOD, Fate.TIMEOUT}
        shares.append(float(np.count_nonzero(fates == Fate.TIMEOUT)) / fates.size)

    assert shares == [pytest.approx(0.2, abs=0.015), 0.0]


def test_the_history_plan_is_the_demo_plan_at_a_coarser_scan() -> None:
    """The two files differ in comment, scan classes and windows only."""
    folder = resources.files("simulators") / "scenarios"
    plain = [(folder / f"{name}-plan.toml").read_text(encoding="utf-8") for name in ("demo", "demo-history")]
    scan = r'(?m)^(#.*|(window_s|batch_s|interval_ms|scan_class) = .*|id = "(second|slow|analyzers|meters)")$'

    assert plain[0] != plain[1]
    assert re.sub(scan, "", plain[0]).strip() == re.sub(scan, "", plain[1]).strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--days", "0.01"], "not a whole number of hours"),
        (["--plan", "nowhere.toml"], "nowhere.toml"),
        (["--scenario", "nowhere"], "no such name"),
        (["--start", "2026-03-01T00:30:00Z"], "not on a whole hour"),
        (["--start", "2026-03-01T00:00:00"], "no UTC offset"),
        (["--start", "yesterday"], "not an ISO 8601 instant"),
    ],
)
def test_wrong_options_say_so(tmp_path: Path, words: list[str], said: str) -> None:
    """Exit 2 with the reason, and no file is left."""
    done = run("--out", str(tmp_path / "a.tape"), *words)

    assert (2, True) == (done.exit_code, said in done.output)
    assert list(tmp_path.iterdir()) == []


def test_truth_stands_beside_the_tape(tmp_path: Path) -> None:
    """The truth file names the tape it belongs to and the seed it was made with."""
    out = tmp_path / "a.tape"
    run("--days", "0.25", "--seed", "9", "--out", str(out))
    found = json.loads((tmp_path / "a.tape.truth.json").read_text())

    assert found["tape"] == spans(out)[0].header.digest.hex()
    assert (9, "demo") == (found["total"]["seed"], found["total"]["scenario"])
