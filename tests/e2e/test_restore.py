"""The collector's disk is lost and a backup put back: a real agent gives again what the collector had acknowledged.

Nothing is signed until that is whole; then the log goes on under a new origin, which the agent takes with its proof.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import Rig, ask
from tests.services import Mosquitto, find_program, free_port, wait_until

WAITING = "select id from items where kind = 'batch' and id not in (select item from comparisons)"
pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]


def test_a_real_agent_heals_a_restored_collector(tmp_path: Path) -> None:
    """Backed up and restored under live ingest: every item the agent sealed is there once, and recomputes equal.

    The agent has checked a later checkpoint meanwhile: both sides notice, and it takes the new origin that admits it.
    """
    program = find_program("mosquitto")
    assert program is not None, "mosquitto is not installed (apt-get install mosquitto); CI leaves nothing out"
    rig = Rig(tmp_path, Mosquitto(program, tmp_path / "mosquitto", free_port()).prepare())
    archive = tmp_path / "books.backup"
    state_dir = tmp_path / "collector"
    config = rig.site.collector_config
    with config.open("a", encoding="utf-8") as file:
        file.write("\n[transparency]\ncheckpoint_s = 1\n")
    try:
        for name in ("broker", "plant", "collector", "agent"):
            rig.start(name)
        rig.wait_for_items(3)
        ask("emitrace-collector", "backup", "--with-key", "--out", archive, "--config", config)
        saved = rig.books("select max(position) + 1 from leaves")[0][0]
        rig.wait_for_items(3)
        wait_until(lambda: held_size(rig) > saved, 60, "the agent to check a later checkpoint", every_s=0.5)
        rig.kill("collector")
        lost = rig.committed()
        size = rig.books("select max(position) + 1 from leaves")[0][0]
        state_dir.rename(tmp_path / "lost")
        ask("emitrace-collector", "restore", archive, "--state-dir", state_dir)
        assert rig.committed() < lost
        rig.start("collector")
        wait_until(lambda: rig.committed() > lost, 90, f"item {lost + 1} at the collector", every_s=0.2)
        wait_until(lambda: log_of(rig)["successions"], 60, "the agent to take the new origin", every_s=0.5)
        rig.finish()
        told = log_of(rig)
        bundle = tmp_path / "after.bundle"
        ask("emitrace-collector", "export", "--out", bundle, "--config", config)
        ask("emitrace-verify", bundle, "--trust", rig.agent.fingerprint, "--trust", rig.collector.fingerprint)
        sealed = [item["sequence"] for item in rig.outbox()]
        wait_until(lambda: not rig.books(WAITING), 60, "the recomputation", every_s=0.2)

        assert saved < size
        (change,) = told["successions"]
        origins = [row[0] for row in rig.books("select origin from origins order by number")]
        assert [origins[0], origins[1]] == [change[side].split("\n")[0] for side in ("held", "seen")]
        assert [] == told["alarms"]
        assert origins[1] == told["held"]["note"].split("\n")[0]
        assert change["unproven"] > 0
        assert "log-renamed" in rig.processes["agent"].text()
        assert "healing-began" in rig.processes["collector"].text()
        assert "healing-ended" in rig.processes["collector"].text()
        assert [("restored",)] == rig.books("select cause from healings where ended_ms is not null")
        assert sealed == [row[0] for row in rig.books("select sequence from items order by sequence")]
        assert [("placed",)] == rig.books("select distinct state from items")
        assert [] == rig.books("select reason from quarantine")
        assert [(1,)] == rig.books("select distinct equal from comparisons")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{rig.logs()}") from error
    finally:
        rig.kill_all()
        rig.broker.kill()



def log_of(rig: Rig) -> dict[str, Any]:
    """What the agent holds of the log, and its alarms."""
    said = ask("emitrace-agent", "log", "--json", "--config", rig.site.agent_config, accepted=(0, 1))
    told: dict[str, Any] = json.loads(said)
    return told


def held_size(rig: Rig) -> int:
    """How many leaves the checkpoint has that the agent checked last."""
    held = log_of(rig)["held"]
    return 0 if held is None else int(held["note"].split("\n")[1])
