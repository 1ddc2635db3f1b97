"""Everything is killed in turn while it works; what was committed arrives exactly once and nothing is made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.demo import books
from simulators.demo.compare import compare
from simulators.demo.dashboard import Dashboard
from simulators.demo.settle import instant
from simulators.demo.site import ADMINISTRATOR, plan_tables
from simulators.demo.slots import account
from simulators.ledger import emitted
from tests.e2e.rig import Rig, ask
from tests.services import Mosquitto, find_program, free_port, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]

OUTAGE_S = 4
"""Long enough for several slots of the fast scan class to be missed."""
PLANT_AWAY = ("disconnected", "timeout", "device-dead", "bus-busy")
ORDER = ("agent", "collector", "broker", "plant")


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One run in which agent, collector, broker and plant were each killed and started again."""
    program = find_program("mosquitto")
    assert program is not None, "mosquitto is not installed (apt-get install mosquitto); CI leaves nothing out"
    folder = tmp_path_factory.mktemp("chain")
    rig = Rig(folder, Mosquitto(program, folder / "mosquitto", free_port()).prepare())
    try:
        for name in ("broker", "plant", "collector", "agent"):
            rig.start(name)
        rig.wait_for_items(3)
        for name in ORDER:
            rig.outage(name, OUTAGE_S)
        rig.finish()
        yield rig
    except AssertionError as error:
        raise AssertionError(f"{error}\n{rig.logs()}") from error
    finally:
        rig.kill_all()
        rig.broker.kill()


@pytest.fixture(scope="module")
def dashboard(survived: Rig) -> Dashboard:
    """The collector's web side, signed in, with every batch recomputed."""
    found = Dashboard(survived.site.address, ADMINISTRATOR, survived.site.admin_password)
    wait_until(
        lambda: books.progress(found, survived.agent.fingerprint).uncompared == 0, 60, "every batch to be recomputed"
    )
    return found


def test_everything_committed_arrived_exactly_once(survived: Rig) -> None:
    """The collector holds the agent's items, each once, in order, with the agent's own bytes."""
    sealed = [(item["sequence"], item["digest"].lower()) for item in survived.outbox()]
    stored = [(n, digest.hex()) for n, digest in survived.books("select sequence, digest from items order by sequence")]

    assert [n for n, _ in sealed] == list(range(len(sealed)))
    assert stored == sealed
    assert {state for (state,) in survived.books("select state from items")} == {"placed"}


def test_nothing_went_to_quarantine_and_every_batch_recomputes(survived: Rig, dashboard: Dashboard) -> None:
    """No outage made a message that fails a check, and edge and collector agree on every batch."""
    found = books.progress(dashboard, survived.agent.fingerprint)

    assert (found.quarantined, found.differing) == (0, 0)
    assert found.equal == found.batches


def test_missing_time_shows_as_slots_with_a_reason(survived: Rig, dashboard: Dashboard) -> None:
    """Slots of the agent's and the plant's absence are counted under their reasons, and all slots add up."""
    plan = plan_tables(survived.site.plan)
    interval = {c["id"]: int(c["interval_ms"]) for c in plan["scan_classes"]}
    points = {p["id"]: interval[p["scan_class"]] for p in plan["points"]}
    rows = books.slots(dashboard, survived.agent.fingerprint)
    found = account(points, [books.span(dashboard, survived.agent.fingerprint)], rows)
    fates: Counter[str] = Counter()
    for point, fate, count in rows:
        fates[fate] += count if point == "em-1.import" else 0

    assert found.unaccounted == {}
    assert fates["agent-down"] >= OUTAGE_S - 1, fates
    assert sum(fates[reason] for reason in PLANT_AWAY) >= OUTAGE_S - 1, fates


def test_energy_over_the_whole_run_equals_the_truth(survived: Rig, dashboard: Dashboard) -> None:
    """Counters bridge every outage: mass over the unbroken run is the plant's own, within four uncertainties."""

    def true_mg(source: str, gas: str, from_ms: int, to_ms: int) -> int:
        return emitted(survived.plant, source, gas, to_ms) - emitted(survived.plant, source, gas, from_ms)

    rows = books.windows(dashboard, survived.agent.fingerprint)
    found = {(c.source, c.gas): c for c in compare(rows, true_mg)}
    by_counter = [row for row in rows if row.source == "grid"]
    whole_ms = max(r.to_ms for r in by_counter) - min(r.from_ms for r in by_counter)

    assert {pair for pair, c in found.items() if c.deviation > 4} == set()
    assert found["grid", "CO2"].measured_mg > 0
    assert found["grid", "CO2"].covered_ms >= whole_ms - 4 * 5_000  # but the first and last, partial windows


def test_bundle_of_the_run_verifies(survived: Rig, dashboard: Dashboard, tmp_path: Path) -> None:
    """The exported bundle is consistent with the anchors held, and without any its origin stays open."""
    bundle = tmp_path / "bundle.zip"
    from_ms, to_ms = books.span(dashboard, survived.agent.fingerprint)
    ask("emitrace-collector", "export", "--from", instant(from_ms), "--to", instant(to_ms, up=True), "--out", bundle,
        "--config", survived.site.collector_config)  # fmt: skip

    trust = ["--trust", survived.agent.fingerprint, "--trust", survived.collector.fingerprint]
    ask("emitrace-verify", bundle, *trust, accepted=[0])
    ask("emitrace-verify", bundle, accepted=[4])
