"""Stops change the truth, and the ledger, the tape and the registers all know it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from simulators.faults.catalogue import parse_fault
from simulators.instruments import build_devices
from simulators.ledger import truth
from simulators.plant import Plant, build_plant
from simulators.recording import Recorder
from simulators.scenario import ScenarioError, load_scenario
from simulators.stops import merged
from simulators.trajectory import Trajectory


def with_faults(*texts: str) -> Plant:
    """The demo plant with faults."""
    faults = tuple(parse_fault(text, datetime(2026, 11, 1, tzinfo=UTC)) for text in texts)
    return build_plant(load_scenario("demo").model_copy(update={"faults": faults}), 7)


def test_a_stop_takes_its_part_out_of_the_ledger(plant: Plant) -> None:
    """While it lasts nothing is taken or emitted; before and after it the truth is that of the plant without it."""
    stopped = with_faults("stop of=boiler from=100 to=200", "stop of=workshop from=50 to=60")
    at = [plant.start_ms + 1000 * second for second in (0, 100, 200, 300)]
    own, other = ([truth(p, low, high) for low, high in pairwise(at)] for p in (plant, stopped))

    assert own[0].gas_ml == other[0].gas_ml
    assert (0, {"CO2": 0}) == (other[1].gas_ml, other[1].emissions_mg["boiler-stack"])
    assert own[2].gas_ml == pytest.approx(other[2].gas_ml, abs=1)
    assert own[1].import_mwh == pytest.approx(other[1].import_mwh, abs=1)
    assert other[0].import_mwh["workshop"] == pytest.approx(0.9 * own[0].import_mwh["workshop"], rel=0.05)


def test_the_ledger_names_stops_and_exchanges() -> None:
    """A span lists what happened in it, with both serial numbers and both indexes."""
    faulty = with_faults("meter-swap unit=1 from=60 new_serial=77 opening=3", "stop from=10 to=20", "busy unit=2")
    start = faulty.start_ms
    stop, swap = truth(faulty, start, start + 100_000).events

    assert {"kind": "stop", "of": "", "from_ms": start + 10_000, "to_ms": start + 20_000} == stop
    assert ("meter-swap", "em-1", start + 60_000) == (swap["kind"], swap["instrument"], swap["at_ms"])
    assert ("20260101", "77") == (swap["old_serial"], swap["new_serial"])
    assert isinstance(swap["closing"], dict)
    assert swap["closing"]["energy_import"].startswith("6213.")
    assert {"energy_import": "3", "energy_export": "3"} == swap["opening"]
    assert () == truth(faulty, start + 60_001, start + 100_000).events


def test_tape_and_registers_agree_over_stops() -> None:
    """The bulk form of every register is that of the scalar plant, before, in and after a stop."""
    faulty = with_faults("stop from=100.5 to=400", "stop of=office from=350 to=500")
    at_ms = faulty.start_ms + np.arange(0, 700_000, 9_973, dtype=np.int64)
    recorder = Recorder(faulty, Trajectory(faulty))
    for device in build_devices(faulty):
        for channel in device.channels:
            together = recorder.words(device, channel, at_ms)
            assert [tuple(row) for row in together.tolist()] == [channel.words(at) for at in at_ms.tolist()]


def test_stops_that_overlap_count_once() -> None:
    """Spans are joined."""
    assert ((0, 30), (40, 50)) == merged([(10, 30), (40, 50), (0, 20), (45, 45)])


def test_a_stop_of_nothing_is_refused() -> None:
    """A load that is not there is named with those that are."""
    with pytest.raises(ScenarioError, match=r"no load 'bolier'.*boiler, workshop"):
        with_faults("stop of=bolier from=1 to=2")
