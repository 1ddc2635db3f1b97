"""The chain of models of SunSpec devices, as they answer and as they should not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.modbus.maps import load_map, parse_map
from protocols.modbus.sunspec import BASES, MOST_MODELS, Device, Model, moved_map, packaged_map, walk


def words(text: str, registers: int) -> list[int]:
    data = text.encode().ljust(2 * registers, b"\0")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def registers_at(base: int, common: int = 66, *further: int) -> dict[int, int]:
    """A device with model 1 of a length, then further models of ten registers each, then the end."""
    body = [0x5375, 0x6E53, 1, common]
    body += [*words("Maker", 16), *words("Meter 3", 16), *words("opt", 8), *words("1.2", 8), *words("SN-77", 16)]
    body += [0] * (common - 64)
    for number in further:
        body += [number, 10, *range(10)]
    return {base + at: word for at, word in enumerate([*body, 0xFFFF, 0])}


def found(registers: Mapping[int, int]) -> tuple[Device | None, list[tuple[int, int]]]:
    """What a walk yields of a device that refuses registers it does not have; and what it was asked."""
    steps, asked = walk(), []
    try:
        question = next(steps)
        while True:
            asked.append(question)
            first, count = question
            there = all(first + k in registers for k in range(count))
            question = steps.send([registers[first + k] for k in range(count)] if there else None)
    except StopIteration as end:
        return end.value, asked


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("common", [65, 66])
def test_a_device_is_found_wherever_it_begins(base: int, common: int) -> None:
    """Maker, model and serial number, and every model with its address."""
    device, _ = found(registers_at(base, common, 203, 64001))

    first = base + 2
    behind = first + 2 + common
    models = (Model(1, first, common), Model(203, behind, 10), Model(64001, behind + 12, 10))
    assert device == Device(base, "Maker", "Meter 3", "1.2", "SN-77", models, whole=True)


def test_a_device_without_the_mark_is_none() -> None:
    """Three questions, and no more."""
    device, asked = found({40000: 0x5375, 40001: 0x6E54})

    assert (device, [address for address, _ in asked]) == (None, [40000, 50000, 0])


def test_a_chain_that_breaks_off_says_so() -> None:
    """What was seen before stays, and the end was not."""
    whole = registers_at(40000, 66, 203)
    device, _ = found({address: word for address, word in whole.items() if address < 40070})

    assert device is not None
    assert ([1], False) == ([model.number for model in device.models], device.whole)


@given(st.dictionaries(st.integers(0, 400), st.integers(0, 0xFFFF), max_size=300))
@settings(max_examples=60, deadline=None)
def test_whatever_a_device_answers_the_walk_ends(junk: dict[int, int]) -> None:
    """No loop, no register beyond the last, no more models than there may be."""
    device, asked = found({0: 0x5375, 1: 0x6E53, **{2 + at: word for at, word in junk.items()}})

    assert device is not None
    assert len(device.models) <= MOST_MODELS
    assert all(0 <= first and first + count <= 2**16 for first, count in asked)


def test_a_packaged_map_is_moved_to_where_the_device_has_the_model() -> None:
    """Every address, those of scale factors too; the moved map passes the checks of any map."""
    model = Model(203, 40071, 105)
    packaged = load_map(packaged_map(model))[0]
    moved = parse_map(moved_map(model, "main-meter"), "maps/main-meter.toml")

    assert moved.model == "main-meter"
    assert [[place + 2 for place in one.places] for one in packaged.registers] == [
        list(one.places) for one in moved.registers
    ]
    assert "Moved by 2 registers" in moved.caveats[0]
    assert packaged_map(Model(999, 40071, 105)) == ""
