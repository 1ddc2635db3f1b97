"""The collector's disk is lost and a backup put back: a real agent gives again what the collector had acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.rig import Rig, ask
from tests.services import Mosquitto, find_program, free_port, wait_until

WAITING = "select id from items where kind = 'batch' and id not in (select item from comparisons)"
pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]


def test_a_real_agent_heals_a_restored_collector(tmp_path: Path) -> None:
    """Backed up and restored under live ingest: every item the agent sealed is there once, and recomputes equal."""
    program = find_program("mosquitto")
    assert program is not None, "mosquitto is not installed (apt-get install mosquitto); CI leaves nothing out"
    rig = Rig(tmp_path, Mosquitto(program, tmp_path / "mosquitto", free_port()).prepare())
    archive = tmp_path / "books.backup"
    state_dir = tmp_path / "collector"
    config = rig.site.collector_config
    try:
        for name in ("broker", "plant", "collector", "agent"):
            rig.start(name)
        rig.wait_for_items(3)
        ask("emitrace-collector", "backup", "--with-key", "--out", archive, "--config", config)
        rig.wait_for_items(3)
        rig.kill("collector")
        lost = rig.committed()
        state_dir.rename(tmp_path / "lost")
        ask("emitrace-collector", "restore", archive, "--state-dir", state_dir)
        assert rig.committed() < lost
        rig.start("collector")
        wait_until(lambda: rig.committed() > lost, 90, f"item {lost + 1} at the collector", every_s=0.2)
        rig.finish()
        sealed = [item["sequence"] for item in rig.outbox()]
        wait_until(lambda: not rig.books(WAITING), 60, "the recomputation", every_s=0.2)

        assert sealed == [row[0] for row in rig.books("select sequence from items order by sequence")]
        assert [("placed",)] == rig.books("select distinct state from items")
        assert [] == rig.books("select reason from quarantine")
        assert [(1,)] == rig.books("select distinct equal from comparisons")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{rig.logs()}") from error
    finally:
        rig.kill_all()
        rig.broker.kill()

