from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from protocols.modbus.maps import load_map
from simulators import draws
from simulators.encode import EncodeError, encode
from simulators.instruments import Device, build_devices
from simulators.plant import Plant
from simulators.recording import Recorder, float_words, nearest_steps, steps_words
from simulators.trajectory import Trajectory

DAY_MS = 86_400_000


def times(plant: Plant, count: int = 240) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Uneven instants over two cycles, over a year, and at the edges of states, in order."""
    near = np.arange(count, dtype=np.int64) * 5_003 + 7
    far = np.arange(count, dtype=np.int64) * (DAY_MS + 12_345)
    edges = np.array([0, 1, 19_999, 20_000, 560_000, 569_999, 570_000, 599_999, 600_000], dtype=np.int64)
    return plant.start_ms + np.unique(np.concatenate((near, far, edges)))


DEVICES = ["em-1", "em-2", "em-3", "gas-1", "stack-flow", "stack-tp", "analyzer", "plc"]


@pytest.mark.parametrize("name", DEVICES)
def test_every_register_is_the_scalar_plants_to_the_bit(plant: Plant, name: str) -> None:
    """Over many instants at once each register shows exactly the words it shows one instant at a time."""
    device: Device = next(d for d in build_devices(plant) if d.instrument.id == name)
    at_ms = times(plant)
    recorder = Recorder(plant, Trajectory(plant))
    for channel in device.channels:
        together = recorder.words(device, channel, at_ms)
        assert [tuple(row) for row in together.tolist()] == [channel.words(at) for at in at_ms.tolist()], channel.signal


@pytest.mark.parametrize(("name", "function", "address", "count"), [("em-3", 4, 52, 24), ("gas-1", 4, 0, 11)])
def test_a_request_is_answered_as_the_device_answers_it(
    plant: Plant, name: str, function: int, address: int, count: int
) -> None:
    """A block of answers equals the answers one by one, addresses between registers included."""
    device = next(d for d in build_devices(plant) if d.instrument.id == name)
    at_ms = times(plant, 20)
    together = Recorder(plant, Trajectory(plant)).read(device, function, address, count, at_ms)

    assert together.tolist() == [device.read(function, address, count, at) for at in at_ms.tolist()]


def test_a_request_for_nothing_is_refused(plant: Plant) -> None:
    """Addresses that belong to nothing are named instead of read as zero."""
    device = build_devices(plant)[0]
    with pytest.raises(ValueError, match="instrument em-1: function 4, registers 5000-5001 cannot be read"):
        Recorder(plant, Trajectory(plant)).read(device, 4, 5000, 2, times(plant, 2))


def test_draws_of_many_are_the_draws_of_each() -> None:
    """Names and numbers decide a draw, whether asked for alone or among others."""
    numbers = np.array([-3, 0, 1, 5, 1_767_225_600_123], dtype=np.int64)
    together = draws.normals(7, "noise", "em-1", last=numbers)

    assert together.tolist() == [draws.normal(7, "noise", "em-1", n) for n in numbers.tolist()]


def test_ties_round_to_even_exactly() -> None:
    """A value on or beside a tie takes the step that exact arithmetic gives it."""
    step = Fraction(1, 8)
    near = np.array([0.0625, 0.1875, -0.0625, np.nextafter(0.0625, 1), 1e15 + 0.0625, 3.7])

    assert nearest_steps(near, step).tolist() == [round(Fraction(v) / step) for v in near.tolist()]


@pytest.mark.parametrize(("model", "name"), [("sim-stack-flow", "flow"), ("sim-gas-corrector", "volume_base")])
def test_what_does_not_fit_is_refused(model: str, name: str) -> None:
    """A number beyond its register is an error in a block as it is alone."""
    register = load_map(model)[0].register_named(name)
    with pytest.raises(EncodeError):
        encode(Decimal(10**12), register)
    with pytest.raises(EncodeError):
        steps_words(np.array([1, 10**12], dtype=np.int64), Fraction(1), register)


def test_orders_of_words_and_bytes_are_those_of_the_encoder() -> None:
    """Every order a register may have comes out of a block as out of the encoder."""
    plain = load_map("vaisala-mgp261")[0].register_named("co2_dry")
    for words in ("big", "little"):
        for order in ("big", "little"):
            register = plain.model_copy(update={"word_order": words, "byte_order": order})
            assert tuple(float_words(np.array([12.3456]), register)[0].tolist()) == encode(Decimal("12.3456"), register)
