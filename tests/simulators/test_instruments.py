from __future__ import annotations

import struct
from decimal import Decimal
from fractions import Fraction

import pytest

from simulators.instruments import Device, build_devices, counter_indication, instant_indication, relative_bias
from simulators.plant import Plant, build_plant
from simulators.scenario import Scenario, ScenarioError, load_scenario

MINUTE = 60_000


def device(plant: Plant, name: str) -> Device:
    """The instrument of that id."""
    return next(d for d in build_devices(plant) if d.instrument.id == name)


def float_at(words: list[int] | None) -> float:
    """A float32 from two words, high word first."""
    assert words is not None
    return float(struct.unpack(">f", struct.pack(">HH", *words))[0])


def test_a_restarted_plant_shows_the_same_registers(plant: Plant) -> None:
    """Built anew from the same start and seed, every register of every instrument shows the same words."""
    at_ms = plant.start_ms + 3 * 86_400_000 + 1234
    again = build_plant(load_scenario("demo"), plant.seed)

    shown = [[c.words(at_ms) for c in d.channels] for d in build_devices(plant)]
    assert shown == [[c.words(at_ms) for c in d.channels] for d in build_devices(again)]


def test_bias_stays_inside_the_class_and_fills_it(plant: Plant) -> None:
    """Over many seeds the bias is inside the limit of error, on both sides, with the spread of a rectangle."""
    meter = plant.scenario.instruments[0]
    drawn = [float(relative_bias(seed, meter, "active_energy_import")) for seed in range(500)]
    limit = float(meter.percent_of_reading) / 100

    assert max(abs(b) for b in drawn) <= limit
    assert min(drawn) < -0.9 * limit < 0.9 * limit < max(drawn)
    assert (sum(b * b for b in drawn) / len(drawn)) ** 0.5 == pytest.approx(limit / 3**0.5, rel=0.08)


def test_an_energy_register_is_the_biased_total_cut_to_its_step(plant: Plant) -> None:
    """The import register stands within one step below initial reading plus biased energy."""
    meter = device(plant, "em-1")
    at_ms = plant.start_ms + 10 * MINUTE
    channel = next(c for c in meter.channels if c.register.name == "energy_import")
    exact = Fraction("6213.407") + Fraction(plant.total("workshop.import", at_ms), 10**12) * (1 + channel.bias)
    shown = float_at(meter.read(4, 72, 2, at_ms))

    assert float(exact) - 0.001 - 0.0005 <= shown <= float(exact) + 0.0005  # half a float32 step at 6 MWh is 0.00025


def test_counters_never_run_backwards(plant: Plant) -> None:
    """Read every 700 ms over stops and sign changes, an import and an export register only grow."""
    meter = device(plant, "em-3")
    times = range(plant.start_ms, plant.start_ms + 12 * MINUTE, 700)
    for address in (72, 74):
        shown = [float_at(meter.read(4, address, 2, t)) for t in times]
        assert sorted(shown) == shown
        assert shown[-1] > shown[0]


def test_the_gas_totaliser_rolls_over_at_its_modulus(plant: Plant) -> None:
    """After 50 m3 the base totaliser starts again from zero and goes on counting."""
    register = next(c.register for c in device(plant, "gas-1").channels if c.register.name == "volume_base")
    shown = [
        counter_indication(plant, register, "boiler.gas", Fraction(0), Decimal(9999950), plant.start_ms + t * MINUTE)
        for t in (0, 9, 13)
    ]

    assert shown[0] == Decimal(9999950)
    assert shown[0] < shown[1] < 10_000_000
    assert 0 <= shown[2] < 50
    assert all(value == value.quantize(Decimal("0.01")) for value in shown)


def test_noise_is_new_in_every_quantum_and_equal_inside_one(plant: Plant) -> None:
    """Two reads in the same second differ by the truth only; over many quanta the spread is the repeatability."""
    flow, signal = device(plant, "stack-flow"), "stack.flow"
    instrument, register = flow.instrument, flow.channels[0].register
    quanta = range(plant.start_ms + MINUTE, plant.start_ms + 9 * MINUTE, 1000)
    ratios = [
        float(instant_indication(plant, instrument, register, signal, Fraction(0), t)) / plant.instant(signal, t)
        for t in quanta
    ]
    spread = (sum((r - 1) ** 2 for r in ratios) / len(ratios)) ** 0.5
    t = quanta[7]
    pair = [instant_indication(plant, instrument, register, "stack.flow", Fraction(0), t + d) for d in (0, 1)]
    truths = [plant.instant("stack.flow", t + d) for d in (0, 1)]

    assert spread == pytest.approx(0.01, rel=0.15)
    assert float(pair[1] - pair[0]) == pytest.approx(truths[1] - truths[0], abs=0.15)
    assert len({round(r, 6) for r in ratios}) > 400


def test_addresses_between_registers_read_zero_and_beyond_them_nothing(plant: Plant) -> None:
    """A gap the map allows to be read across answers zeros; an address of nothing is refused as a whole."""
    meter = device(plant, "em-1")
    words = meter.read(4, 18, 34, plant.start_ms)

    assert [0] * 34 == words
    assert meter.read(4, 74, 4, plant.start_ms) is None
    assert meter.read(3, 0, 2, plant.start_ms) is None


def test_a_value_may_be_read_in_two_halves(plant: Plant) -> None:
    """Two single-register reads of one instant give the words of one double read."""
    meter, at_ms = device(plant, "analyzer"), plant.start_ms + MINUTE
    both = meter.read(3, 6, 2, at_ms)

    assert both == [w for a in (6, 7) for w in (meter.read(3, a, 1, at_ms) or [])]


def broken(**changes: object) -> Scenario:
    """The demo scenario with tables exchanged."""
    tables = load_scenario("demo").model_dump(by_alias=True)
    return Scenario.model_validate({**tables, **changes})


def test_a_register_without_signal_names_map_and_register() -> None:
    """A scenario that forgets a register says which, and where to name the signal."""
    signals = {k: dict(v) for k, v in load_scenario("demo").signals.items()}
    del signals["sim-stack-flow"]["flow"]

    with pytest.raises(ScenarioError, match=r"stack-flow, register flow: no signal.*\[signals.sim-stack-flow\]"):
        build_devices(build_plant(broken(signals=signals), 1))


def test_an_unknown_signal_lists_the_known_ones() -> None:
    """A misspelt signal shows what there is."""
    signals = {**load_scenario("demo").signals, "sim-stack-flow": {"flow": "stack.flo"}}

    with pytest.raises(ScenarioError, match=r"no signal 'stack.flo'.*stack.flow"):
        build_devices(build_plant(broken(signals=signals), 1))
