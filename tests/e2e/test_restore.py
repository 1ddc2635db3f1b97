"""The collector's disk is lost and a backup put back: a real agent gives again what the collector had acknowledged.

Nothing is signed until that is whole, or a person says that the rest is lost; then the log goes on under a new origin,
which the agent takes with its proof.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import Rig, ask
from tests.services import Mosquitto, find_program, free_port, wait_until

WAITING = "select id from items where kind = 'batch' and id not in (select item from comparisons)"
pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]


@contextmanager
def rolled_back(tmp_path: Path, *, evicted: bool) -> Iterator[tuple[Rig, int]]:
    """Under live ingest backed up, signed further, lost and restored: the rig, and the last item it had committed.

    ``evicted``: the agent has let go of what was acknowledged by then.
    """
    program = find_program("mosquitto")
    assert program is not None, "mosquitto is not installed (apt-get install mosquitto); CI leaves nothing out"
    rig = Rig(tmp_path, Mosquitto(program, tmp_path / "mosquitto", free_port()).prepare())
    archive, state_dir, config = tmp_path / "books.backup", tmp_path / "collector", rig.site.collector_config
    with config.open("a", encoding="utf-8") as file:
        file.write("\n[transparency]\ncheckpoint_s = 1\n")
    if evicted:
        with rig.site.agent_config.open("a", encoding="utf-8") as file:
            file.write("\n[retention]\nacknowledged_days = 0\n")
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
        if evicted:
            assert rig.processes["agent"].stop() == 0
            rig.start("agent")
            wait_until(lambda: "evicted" in rig.processes["agent"].text(), 60, "the agent to evict", every_s=0.5)
        state_dir.rename(tmp_path / "lost")
        ask("emitrace-collector", "restore", archive, "--state-dir", state_dir)
        assert rig.committed() < lost
        rig.start("collector")
        yield rig, lost
    except AssertionError as error:
        raise AssertionError(f"{error}\n{rig.logs()}") from error
    finally:
        rig.kill_all()
        rig.broker.kill()


def follow_the_new_origin(rig: Rig) -> None:
    """The agent takes the new origin without alarm, and a bundle of everything verifies."""
    wait_until(lambda: log_of(rig)["successions"], 60, "the agent to take the new origin", every_s=0.5)
    rig.finish()
    told = log_of(rig)
    (change,) = told["successions"]
    origins = [row[0] for row in rig.books("select origin from origins order by number")]

    assert origins == [change[side].split("\n")[0] for side in ("held", "seen")]
    assert origins[1] == told["held"]["note"].split("\n")[0]
    assert [] == told["alarms"]
    assert change["unproven"] > 0
    bundle = rig.folder / "after.bundle"
    ask("emitrace-collector", "export", "--out", bundle, "--config", rig.site.collector_config)
    ask("emitrace-verify", bundle, "--trust", rig.agent.fingerprint, "--trust", rig.collector.fingerprint)


def test_a_real_agent_heals_a_restored_collector(tmp_path: Path) -> None:
    """Backed up and restored under live ingest: every item the agent sealed is there once, and recomputes equal.

    The agent has checked a later checkpoint meanwhile: both sides notice, and it takes the new origin that admits it.
    """
    with rolled_back(tmp_path, evicted=False) as (rig, lost):
        wait_until(lambda: rig.committed() > lost, 90, f"item {lost + 1} at the collector", every_s=0.2)
        follow_the_new_origin(rig)
        sealed = [item["sequence"] for item in rig.outbox()]
        wait_until(lambda: not rig.books(WAITING), 60, "the recomputation", every_s=0.2)

        assert "log-renamed" in rig.processes["agent"].text()
        assert "healing-began" in rig.processes["collector"].text()
        assert "healing-ended" in rig.processes["collector"].text()
        assert [("restored",)] == rig.books("select cause from healings where ended_ms is not null")
        assert sealed == [row[0] for row in rig.books("select sequence from items order by sequence")]
        assert [("placed",)] == rig.books("select distinct state from items")
        assert [] == rig.books("select reason from quarantine")
        assert [(1,)] == rig.books("select distinct equal from comparisons")


def test_what_no_agent_holds_any_more_is_written_down_as_lost(tmp_path: Path) -> None:
    """Evicted by the agent, lost by the collector: nothing is exported until a person says so; then all goes on."""
    with rolled_back(tmp_path, evicted=True) as (rig, lost):
        config = rig.site.collector_config

        def missing() -> dict[str, Any]:
            said = ask("emitrace-collector", "healing", "show", "--json", "--config", config, accepted=(0, 1))
            found: dict[str, Any] = json.loads(said)
            return found

        wait_until(lambda: missing()["gaps"] and not missing()["silent"], 60, "the agent's word", every_s=0.5)
        ask("emitrace-collector", "export", "--out", rig.folder / "no.bundle", "--config", config, accepted=(2,))
        accept = ("healing", "accept-loss", "--reason", "evicted before the restore", "--author", "li")
        ask("emitrace-collector", *accept, "--config", config, accepted=(1,))
        assert missing()["healing"] is not None
        ask("emitrace-collector", *accept, "--yes", "--config", config)
        assert missing()["healing"] is None
        wait_until(lambda: rig.committed() > lost, 90, f"item {lost + 1} at the collector", every_s=0.2)
        follow_the_new_origin(rig)
        (kind,) = rig.books("select distinct kind from leaves where kind = 'lost'")
        first, last = rig.books("select min(first), max(last) from losses")[0]
        here = {row[0] for row in rig.books("select sequence from items")}

        assert ("lost",) == kind
        assert not here & set(range(first, last + 1))
        assert lost - 1 <= last <= lost


def log_of(rig: Rig) -> dict[str, Any]:
    """What the agent holds of the log, and its alarms."""
    said = ask("emitrace-agent", "log", "--json", "--config", rig.site.agent_config, accepted=(0, 1))
    told: dict[str, Any] = json.loads(said)
    return told


def held_size(rig: Rig) -> int:
    """How many leaves the checkpoint has that the agent checked last."""
    held = log_of(rig)["held"]
    return 0 if held is None else int(held["note"].split("\n")[1])
