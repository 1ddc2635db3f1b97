import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import Process, wait_until


@pytest.mark.e2e
def test_demo_settles_its_account_with_the_embedded_broker(tmp_path: Path) -> None:
    """In 25 s of the demo every program does its part: measured agrees with true and the bundle verifies."""
    command = [sys.executable, "-m", "simulators", "demo", "--for", "25", "--broker", "embedded",
               "--keep", str(tmp_path / "run")]  # fmt: skip
    demo = Process("demo", command, tmp_path / "demo.log").start()
    try:
        wait_until(lambda: not demo.running, 240, "the demo to end", every_s=0.5)
    finally:
        code = demo.stop(60)
    said = demo.text(20_000)

    assert code == 0, said
    assert "FAULT" not in said
    assert "embedded broker" in said
    assert all(pair in said for pair in ("grid", "boiler-stack", "CH4", "N2O")), said
    assert "expected 4" in said
    assert "all of it holds" in said


@pytest.mark.e2e
def test_demo_shows_a_history_that_agrees_with_the_truth(tmp_path: Path) -> None:
    """Three days made in bulk agree with the truth, the inventory is the windows' sum, then the pages are served."""
    command = [sys.executable, "-m", "simulators", "demo", "--history", "--days", "3", "--for", "15",
               "--broker", "embedded", "--keep", str(tmp_path / "run")]  # fmt: skip
    demo = Process("demo", command, tmp_path / "demo.log").start()
    try:
        wait_until(lambda: not demo.running, 240, "the demo to end", every_s=0.5)
    finally:
        code = demo.stop(60)
    said = demo.text(20_000)

    assert code == 0, said
    assert "FAULT" not in said
    assert "5 of 5 pairs" in said
    assert all(step in said for step in ("write", "replay", "ingest", "inventory", "sign in", "all of it holds")), said


@pytest.mark.e2e
def test_days_without_history_are_refused() -> None:
    """A time to show goes with the demo that shows it."""
    done = subprocess.run(
        [sys.executable, "-m", "simulators", "demo", "--days", "3"], capture_output=True, text=True, check=False
    )

    assert (2, True) == (done.returncode, "--history" in done.stderr)


@pytest.mark.e2e
def test_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    """Told to stop in the middle, the demo ends its children and says so."""
    demo = Process("demo", [sys.executable, "-m", "simulators", "demo", "--broker", "embedded", "--keep",
                            str(tmp_path / "run")], tmp_path / "demo.log").start()  # fmt: skip
    try:
        wait_until(lambda: "sign in" in demo.text() or not demo.running, 90, "the dashboard's address")
        assert demo.running, demo.text()
        children = children_of(demo)
    finally:
        code = demo.stop(60)

    assert code == 0, demo.text()
    assert len(children) == 4
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def children_of(process: Process) -> list[int]:
    """PIDs of the direct children, as Linux lists them."""
    assert process.popen is not None
    listed = Path(f"/proc/{process.popen.pid}/task/{process.popen.pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list children under /proc")
    return [int(pid) for pid in listed.read_text().split()]
