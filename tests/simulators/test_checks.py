"""A simulated analyzer on its check gases, read and folded: checks become events, never emissions."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from protocols.modbus.decode import join_words
from protocols.modbus.maps import load_map
from protocols.modbus.planner import plan_reads
from protocols.plan.bind import bind
from protocols.plan.load import parse_plan
from protocols.records import Fate, Phase, Samples, fate_code
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.windows.series import slot_range
from simulators.instruments import build_devices
from simulators.plant import build_plant
from simulators.recording import Recorder
from simulators.scenario import ScenarioError, load_scenario
from simulators.trajectory import Trajectory

SCENARIOS = resources.files("simulators") / "scenarios"
MGP = "percent_of_reading = 2.0\nrepeatability_percent = 0.5\nconstants = { device_status = 0, serial_address = 240 }"
CHECKS = (
    "percent_of_reading = 2.0\nconstants = { model_code = 605 }\n"
    'checks = { every_s = 60, zero_s = 10, span_s = 10, status = "doing", span_gas = { co2_dry = 12.0 } }'
)

CO2 = 'instrument = "analyzer"\nregister = "co2_dry"\nscan_class = "second"\n'
STATUS = (
    'status = { point = "stack.doing", measure = [0], zero = [1], span = [2], zero_gas = 0, span_gas = 12 }\n'
    '[[points]]\nid = "stack.doing"\ninstrument = "analyzer"\nregister = "doing"\nscan_class = "second"\n'
)


def scenario_text() -> str:
    """The demo's plant with an analyzer that checks itself every minute."""
    text = (SCENARIOS / "demo.toml").read_text(encoding="utf-8")
    assert 1 == text.count(MGP)
    text = text.replace(MGP, CHECKS).replace('map = "vaisala-mgp261"', 'map = "sim-stack-analyzer"')
    return text.replace("[signals.vaisala-mgp261]", "[signals.sim-stack-analyzer]")


def test_a_check_of_the_simulated_analyzer_is_an_event_with_its_bias_as_drift(tmp_path: Path) -> None:
    """Two minutes through the plan's own requests: two checks each of zero and span, drift = bias x span gas."""
    path = tmp_path / "plant.toml"
    path.write_text(scenario_text(), encoding="utf-8")
    plant = build_plant(load_scenario(str(path)), 1)
    text = (SCENARIOS / "demo-plan.toml").read_text(encoding="utf-8")
    assert 1 == text.count(CO2)
    text = text.replace(CO2, CO2 + STATUS).replace('map = "vaisala-mgp261"', 'map = "sim-stack-analyzer"')
    plan = parse_plan(text, "plan.toml")
    bound = bind(plan, {i.map: load_map(i.map)[0] for i in plan.instruments}, bytes(32))
    devices = {device.instrument.unit: device for device in build_devices(plant)}
    low, high = plant.start_ms, plant.start_ms + 130_000
    blocks = []
    for request in plan_reads(bound):
        interval = bound.intervals_ms[request.scan_class]
        begin, count = slot_range(low, high, interval)
        rows = [
            devices[request.unit].read(request.function, request.address, request.count, slot * interval)
            for slot in range(begin, begin + count)
        ]
        words = join_words(np.array(rows, dtype=np.uint16), request)
        good, on_time = np.zeros(count, dtype=np.uint16), np.zeros(count, dtype=np.int64)
        blocks.append(Samples(request, begin, good, on_time, words))
    folded = fold(bound, initial_state(bound, low), tuple(blocks), (), low, high)
    bias = next(c.bias for c in devices[240].channels if c.register.name == "co2_dry")
    drifts = [(dict(e.details)["check"], dict(e.details)["drift"]) for e in folded.derived_events]
    position = next(i for i, point in enumerate(bound.points) if point.id == "stack.co2-dry")
    seconds = {one.fate: one.count for one in folded.slots if one.point == position}

    assert ["zero", "span"] * 2 == [name for name, _ in drifts]
    assert [0, 12 * float(bias)] * 2 == pytest.approx([drift for _, drift in drifts], abs=1e-5)
    assert 20 == seconds[fate_code(Fate.IN_CALIBRATION, Phase.ZERO)]
    assert 20 == seconds[fate_code(Fate.IN_CALIBRATION, Phase.SPAN)]


def test_a_tape_shows_the_check_gases(tmp_path: Path) -> None:
    """Many instants at once are the instrument's own, zero and span gas and the status included."""
    path = tmp_path / "plant.toml"
    path.write_text(scenario_text(), encoding="utf-8")
    plant = build_plant(load_scenario(str(path)), 1)
    device = next(one for one in build_devices(plant) if one.instrument.unit == 240)
    at_ms = plant.start_ms + np.arange(0, 130_000, 1_700, dtype=np.int64)
    together = Recorder(plant, Trajectory(plant)).read(device, 4, 0, 5, at_ms)

    assert together.tolist() == [device.read(4, 0, 5, at) for at in at_ms.tolist()]
    assert {0, 1, 2} == set(together[:, 2].tolist())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("zero_s = 10", "zero_s = 50", "leave no time of every_s = 60"),
        ("co2_dry = 12", "co2_wet = 12", "no register 'co2_wet' in sim-stack-analyzer"),
    ],
)
def test_a_check_cycle_that_cannot_be_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    """No time to measure, or a register that the map does not have."""
    path = tmp_path / "plant.toml"
    path.write_text(scenario_text().replace(old, new), encoding="utf-8")

    with pytest.raises(ScenarioError, match=says):
        build_devices(build_plant(load_scenario(str(path)), 1))
