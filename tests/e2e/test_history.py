"""Time in bulk: a tape through the real programs gives the books that its plant deserves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocols.wire.codec import item_digest
from simulators.ledger import truth
from tests.e2e.history import History, check
from tests.e2e.rig import Rig, ask
from tests.services import Mosquitto, wait_until

pytestmark = pytest.mark.e2e

START, MIDNIGHT, END = "2025-12-31T21:00:00+08:00", "2026-01-01T00:00:00+08:00", "2026-01-01T03:00:00+08:00"
HOURS = 6


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Six hours across the facility's new year, replayed and ingested."""
    history = History(tmp_path_factory.mktemp("history"), HOURS / 24, START, 5)
    history.write()
    history.replay()
    history.ingest()
    return history


def test_inventory_is_the_sum_of_windows_and_the_truth_within_four_uncertainties(history: History) -> None:
    """No milligram is lost or doubled, at the facility's midnight neither, and the truth lies where it is stated."""
    check(history, START, MIDNIGHT, END)


def test_every_replayed_batch_recomputes(history: History) -> None:
    """The collector's own fold of the raw words equals what the replay stated."""
    assert history.recompute() == []


def test_what_is_ingested_twice_counts_once(history: History) -> None:
    """The second time all items are duplicates and the inventory is the same."""
    before = history.inventory(START, END)

    assert f"{HOURS + 1} items" in (said := history.ingest())
    assert f"0 stored, {HOURS + 1} duplicate, 0 refused" in said
    assert history.inventory(START, END) == before


def test_a_replay_that_was_interrupted_goes_on_with_the_same_bytes(history: History) -> None:
    """With the newest files gone, or one only, a replay makes exactly those again; with none gone, nothing."""
    files = sorted(path for path in history.items.iterdir() if path.suffix in {".plan", ".batch"})
    stored = {path.name: path.read_bytes() for path in files}
    for gone in (files[3:], files[1:], files):
        for path in gone:
            path.unlink()
        assert f"{len(gone)} items" in history.replay()
        assert {path.name: path.read_bytes() for path in files} == stored

    assert "the whole tape is there already" in history.replay()


def test_the_outbox_gets_the_same_items(history: History) -> None:
    """Replayed into the outbox, the items are those of the folder and wait there for the uplink."""
    ask("emitrace-agent", "replay", history.tape, *history.agent_config)
    listed = json.loads(ask("emitrace-agent", "outbox", "--json", "--last", "100", *history.agent_config))
    assert "there already" in ask("emitrace-agent", "replay", history.tape, *history.agent_config)

    assert [item["sequence"] for item in listed] == list(range(HOURS, -1, -1))
    assert {item["acked_ms"] for item in listed} == {None}
    assert {item["digest"].lower() for item in listed} == {
        item_digest(path.read_bytes()).hex() for path in history.items.iterdir() if path.suffix in {".plan", ".batch"}
    }


def test_another_tape_is_refused_where_one_stands(history: History, tmp_path: Path) -> None:
    """Two streams never mix in one folder."""
    other = tmp_path / "other.tape"
    ask("emitrace-simulate", "tape", "--days", "0.0416666667", "--start", START, "--seed", "6", "--out", other)

    ask("emitrace-agent", "replay", other, "--out", history.items, *history.agent_config, accepted=[2])


def test_truth_beside_the_tape_adds_up(history: History) -> None:
    """Hours and days of the truth file add to its total, which is the ledger's; days end in the facility's zone."""
    found = json.loads(history.tape.with_name("plant.tape.truth.json").read_text())
    plant = history.plant()
    end_ms = history.start_ms + HOURS * 3_600_000
    total = found["total"]["sources_mg"]

    assert total == truth(plant, history.start_ms, end_ms).emissions_mg
    for part, count in (("hours", HOURS), ("days", 2)):
        assert count == len(found[part]["from_ms"]) == len(found[part]["to_ms"])
        assert total == {
            source: {gas: sum(column) for gas, column in gases.items()}
            for source, gases in found[part]["sources_mg"].items()
        }
    assert found["days"]["to_ms"][0] == history.start_ms + 3 * 3_600_000


def test_missing_answers_are_bridged_and_stay_within_the_uncertainty(tmp_path: Path) -> None:
    """With a tenth of all requests unanswered, counters lose nothing and the truth lies where it is stated."""
    history = History(tmp_path, HOURS / 24, START, 11, ("--timeouts", "0.1", "--jobs", "2"))
    history.write()
    history.replay()
    history.ingest()

    check(history, START, MIDNIGHT, END)


@pytest.mark.parametrize(
    ("zone", "offset", "minutes"), [("Asia/Kolkata", "+05:30", 30), ("Europe/Berlin", "+01:00", 0)]
)
def test_a_year_ends_at_midnight_wherever_the_facility_is(
    tmp_path: Path, zone: str, offset: str, minutes: int
) -> None:
    """Where midnight is inside a UTC hour, and where clocks change in summer: nothing is lost or doubled."""
    start, end = f"2025-12-31T21:{minutes:02}:00{offset}", f"2026-01-01T03:{minutes:02}:00{offset}"
    history = History(tmp_path, HOURS / 24, start, 7, ("--batch-h", "3"), zone)
    history.write()
    history.replay()
    assert "3 items" in history.ingest()

    check(history, start, f"2026-01-01T00:00:00{offset}", end)
    assert history.recompute() == []


def test_an_agent_nobody_knows_gets_into_quarantine(history: History, tmp_path: Path) -> None:
    """Items of an agent that is not registered are refused with that reason, exit 1."""
    (tmp_path / "collector.toml").write_text("[broker]\nport = 1\n")
    config = ("--config", str(tmp_path / "collector.toml"))
    ask("emitrace-collector", "ingest", history.items, *config, accepted=[1])

    assert "unknown-key" in ask("emitrace-collector", "quarantine", *config, accepted=[1])


@pytest.mark.mosquitto
def test_a_replayed_outbox_is_delivered_by_the_normal_uplink(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """What a replay put into the outbox the agent delivers once it runs, and the books hold it as it was sealed."""
    rig = Rig(tmp_path, mosquitto)
    tape = tmp_path / "recent.tape"
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    ask("emitrace-simulate", "tape", "--days", "0.0833333333", "--start", start.isoformat(), "--plan", rig.site.plan,
        "--out", tape)  # fmt: skip
    ask("emitrace-agent", "replay", tape, "--config", rig.site.agent_config)
    replayed = [(item["sequence"], item["digest"].lower()) for item in rig.outbox()]
    try:
        for name in ("collector", "agent"):
            rig.start(name)
        wait_until(lambda: rig.committed() >= replayed[-1][0], 60, "the replayed items", every_s=0.2)
        stored = [(n, digest.hex()) for n, digest in rig.books("select sequence, digest from items order by sequence")]
    finally:
        rig.kill_all()

    assert [0, 1, 2] == [sequence for sequence, _ in replayed]
    assert stored[:3] == replayed


@pytest.mark.soak
@pytest.mark.parametrize(
    ("zone", "offset", "minutes"),
    [("Asia/Shanghai", "+08:00", 0), ("Asia/Kolkata", "+05:30", 30), ("Europe/Berlin", "+01:00", 0)],
)
def test_a_month_across_the_new_year(tmp_path: Path, zone: str, offset: str, minutes: int) -> None:
    """Thirty days give an inventory equal to the sum of windows, the truth within it, at midnight too."""
    start, end = f"2025-12-17T00:{minutes:02}:00{offset}", f"2026-01-16T00:{minutes:02}:00{offset}"
    history = History(tmp_path, 30, start, 2026, ("--timeouts", "0.002"), zone)
    history.write()
    history.replay()
    history.ingest()

    check(history, start, f"2026-01-01T00:00:00{offset}", end)
    assert history.recompute() == []
