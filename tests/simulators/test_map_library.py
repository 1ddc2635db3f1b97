"""Every packaged map, read whole from a device that the simulators' own encoder fills."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from protocols.errors import InputErrors
from protocols.modbus.decode import exact_value, join_words
from protocols.modbus.maps import load_map, map_names, parse_map
from protocols.modbus.planner import plan_map
from protocols.modbus.registermap import Register, RegisterMap
from simulators.encode import encode

REAL = [model for model in map_names() if load_map(model)[0].status != "simulator-only"]
CONFIRMED = [model for model in REAL if load_map(model)[0].status == "confirmed"]


def value_of(register: Register, position: int) -> Decimal:
    """A value the register can hold to the last digit, another one for each."""
    whole = Decimal(3 + position if register.bits is None else 1)
    number = whole + Decimal("0.25") if register.type.startswith("float") else whole
    scale = register.scale
    return (number * scale if register.scale_by == "multiply" else number / scale) + register.offset


def memory_of(register_map: RegisterMap) -> dict[tuple[int, int], int]:
    """The words of a device that shows ``value_of`` in every register."""
    memory: dict[tuple[int, int], int] = {}
    for position, register in enumerate(register_map.registers):
        words = encode(value_of(register, position), register)
        memory |= {(register.function, place): word for place, word in zip(register.places, words, strict=True)}
    return memory


@pytest.mark.parametrize("model", map_names())
def test_a_whole_map_is_read_and_decodes_to_what_was_encoded(model: str) -> None:
    """The requests stay inside the model's limits and bring every register's value, exactly."""
    register_map, _ = load_map(model)
    memory = memory_of(register_map)
    seen: dict[int, Fraction | None] = {}
    for request in plan_map(register_map):
        answer = [memory.get((request.function, request.address + at), 0) for at in range(request.count)]
        joined = join_words(np.array([answer], dtype=np.uint16), request)[0].tolist()
        assert request.count <= register_map.quirks.max_registers
        for point, word in zip(request.points, joined, strict=True):
            seen[point] = exact_value(word, register_map.registers[point])

    assert seen == {
        position: Fraction(value_of(register, position)) for position, register in enumerate(register_map.registers)
    }


def test_the_library_is_as_large_as_promised() -> None:
    """Twenty models of real meters at least, twelve of them confirmed, over all the kinds a plant has."""
    quantities = {register.quantity.value for model in REAL for register in load_map(model)[0].registers}

    assert 20 <= len(REAL)
    assert 12 <= len(CONFIRMED)
    assert {
        "active_energy_import", "gas_volume", "mass", "liquid_volume", "thermal_power", "co2_fraction", "o2_fraction"
    } <= quantities  # fmt: skip


@pytest.mark.parametrize("model", REAL)
def test_a_real_map_says_where_it_is_from_and_what_to_beware_of(model: str) -> None:
    """Manual, sources, caveats, accuracy, and whether values are primary or secondary."""
    register_map, _ = load_map(model)

    assert register_map.sources != ()
    assert register_map.caveats != ()
    assert "" not in (register_map.ratios, register_map.accuracy, register_map.manual.page)
    assert register_map.examples != () or register_map.status != "confirmed"


@pytest.mark.parametrize("model", CONFIRMED)
def test_confirmed_stands_on_what_was_read(model: str) -> None:
    """Without its manuals and one of its programs, without an example or with another scale, it is refused."""
    _, text = load_map(model)
    register_map = parse_map(text, "map.toml")
    drivers = [source.by for source in register_map.sources if source.kind == "driver"]
    alone = text.replace('kind = "manual"', 'kind = "driver"').replace('kind = "standard"', 'kind = "driver"')
    for source in register_map.sources:
        alone = alone.replace(f'by = "{source.by}"', 'by = "the same"')

    with pytest.raises(InputErrors, match=r'status: "confirmed"\. name a manual, a standard or two drivers'):
        parse_map(alone, "map.toml")
    with pytest.raises(InputErrors, match="no example of"):
        parse_map(text[: text.index("[[examples]]")], "map.toml")
    assert len(set(drivers)) >= 2 or {source.kind for source in register_map.sources} & {"manual", "standard"}


@pytest.mark.parametrize("model", REAL)
def test_every_example_pins_its_register(model: str) -> None:
    """Any other word order, were it wrong, would give another number, so that an example proves the order."""
    register_map, _ = load_map(model)
    for example in register_map.examples:
        register = register_map.register_named(example.register_name)
        if register.width == 1 or example.value in (None, Decimal(0)):
            continue
        words = list(example.words[: register.width])
        if words == words[::-1]:
            continue
        turned = register.model_copy(update={"word_order": "little" if register.word_order == "big" else "big"})
        word = 0
        for each in example.words:
            word = word << 16 | each

        assert exact_value(word, register) != exact_value(word, turned), example
