"""Long chaos: only `make soak` runs it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from simulators.demo import books
from simulators.demo.dashboard import Dashboard
from simulators.demo.settle import instant
from simulators.demo.site import ADMINISTRATOR
from tests.e2e.rig import Rig, ask
from tests.services import Mosquitto, wait_until

ROUNDS = 20


@pytest.mark.soak
@pytest.mark.mosquitto
def test_twenty_outages_of_any_length_lose_and_double_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Whatever is killed, in any order and for up to 15 s: each item arrives once, recomputes, and verifies."""
    rig = Rig(tmp_path, mosquitto)
    chance = random.Random(2026)
    try:
        for name in ("plant", "collector", "agent"):
            rig.start(name)
        rig.wait_for_items(3)
        for _ in range(ROUNDS):
            rig.outage(chance.choice(["agent", "collector", "broker", "plant"]), chance.uniform(0, 15))
        rig.finish()
        sealed = [(item["sequence"], item["digest"].lower()) for item in rig.outbox()]
        stored = [(n, digest.hex()) for n, digest in rig.books("select sequence, digest from items order by sequence")]
        dashboard = Dashboard(rig.site.address, ADMINISTRATOR, rig.site.admin_password)
        wait_until(lambda: books.progress(dashboard, rig.agent.fingerprint).uncompared == 0, 120, "recomputation")
        found = books.progress(dashboard, rig.agent.fingerprint)
        from_ms, to_ms = books.span(dashboard, rig.agent.fingerprint)
        bundle = tmp_path / "bundle.zip"
        ask("emitrace-collector", "export", "--from", instant(from_ms), "--to", instant(to_ms, up=True), "--out",
            bundle, "--config", rig.site.collector_config)  # fmt: skip

        assert stored == sealed
        assert (found.differing, found.quarantined) == (0, 0)
        ask("emitrace-verify", bundle, "--trust", rig.agent.fingerprint, "--trust", rig.collector.fingerprint)
    finally:
        rig.kill_all()
