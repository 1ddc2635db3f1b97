"""The stack against the plant's truth where samples are few: the stated uncertainty covers the difference."""

from __future__ import annotations

import math
import random
from importlib import resources

import numpy as np
import pytest

from protocols.modbus.decode import join_words
from protocols.modbus.maps import load_map
from protocols.modbus.planner import plan_reads
from protocols.plan.bind import bind
from protocols.plan.load import parse_plan
from protocols.records import Fate, Samples
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.windows.series import slot_range
from simulators.instruments import build_devices
from simulators.ledger import emitted
from simulators.plant import Plant

PLAN = (resources.files("simulators") / "scenarios" / "demo-plan.toml").read_text(encoding="utf-8")
LIMIT = 4.0
"""Standard uncertainties, as in the demo's account."""


@pytest.mark.parametrize(("interval_ms", "window_s", "missing"), [(1000, 5, 0.3), (5000, 20, 0.3)])
def test_every_window_of_the_stack_is_as_near_to_the_truth_as_it_says(
    plant: Plant, interval_ms: int, window_s: int, missing: float
) -> None:
    """A whole cycle with start, closing and stop, a third of the answers missing: no window is off by more than 4 u."""
    text = PLAN.replace("window_s = 60", f"window_s = {window_s}").replace(
        "interval_ms = 1000", f"interval_ms = {interval_ms}"
    )
    plan = parse_plan(text, "plan.toml")
    bound = bind(plan, {i.map: load_map(i.map)[0] for i in plan.instruments}, bytes(32))
    rng, devices = random.Random(7), {device.instrument.unit: device for device in build_devices(plant)}
    low, high = plant.start_ms, plant.start_ms + 660_000
    blocks = []
    for request in plan_reads(bound):
        interval = bound.intervals_ms[request.scan_class]
        first, count = slot_range(low, high, interval)
        fates = np.array([Fate.TIMEOUT if rng.random() < missing else Fate.GOOD for _ in range(count)], dtype=np.uint16)
        rows = [
            devices[request.unit].read(request.function, request.address, request.count, (first + slot) * interval)
            for slot in np.flatnonzero(fates == Fate.GOOD).tolist()
        ]
        words = join_words(np.array(rows, dtype=np.uint16), request)
        blocks.append(Samples(request, first, fates, np.zeros(len(rows), dtype=np.int64), words))
    folded = fold(bound, initial_state(bound, low), tuple(blocks), (), low, high)
    stack = next(position for position, source in enumerate(bound.sources) if source.id == "boiler-stack")
    deviations = []
    for window in folded.windows:
        if window.source == stack and window.measured_ms + window.stopped_ms == window.to_ms - window.from_ms:
            true = emitted(plant, "boiler-stack", "CO2", window.to_ms) - emitted(
                plant, "boiler-stack", "CO2", window.from_ms
            )
            parts = (window.u_independent, *window.u_shared, window.u_end, window.u_end)
            u = math.sqrt(math.fsum(part * part for part in parts))
            deviations.append(0.0 if window.mass_mg == true else abs(window.mass_mg - true) / u if u else math.inf)

    assert len(deviations) >= 10
    assert max(deviations) <= LIMIT
