import pytest

from protocols.errors import InputErrors
from protocols.modbus.maps import load_map, map_names, parse_map

GOOD = """schema = 1
model = "meter-x"
maker = "Maker"
title = "Meter X"
status = "unconfirmed"
manual = { title = "Manual", revision = "1", page = "3", source = "test" }
probe = { register = "model_code", expect = "7" }

[[registers]]
name = "volume"
quantity = "gas_volume"
function = 4
address = 10
type = "u32"
scale = 0.01
unit = "m3"
temperature = "20C"
modulus = 1000000
resolution = 0.01
sentinels = [4294967295]

[[registers]]
name = "fraction"
quantity = "co2_fraction"
function = 4
address = 12
type = "s16"
unit = "ppm"
moisture = "dry"

[[registers]]
name = "model_code"
quantity = "device_status"
function = 3
address = 0
type = "u16"
unit = "1"
"""


def test_a_good_map_parses() -> None:
    """What a map states is found by name."""
    register = parse_map(GOOD, "x.toml").register_named("volume")

    assert (2, "m3", "20C") == (register.width, register.unit, register.temperature)


@pytest.mark.parametrize("model", map_names())
def test_every_packaged_map_passes_its_checks(model: str) -> None:
    """A packaged map is named after its model and says where its layout was read."""
    register_map, text = load_map(model)

    assert model == register_map.model
    assert register_map == parse_map(text, "again.toml")
    assert register_map.manual.source != ""


def test_a_map_that_is_not_packaged_names_the_nearest() -> None:
    """A misspelt model is answered with the model meant."""
    with pytest.raises(InputErrors, match="did you mean 'eastron-sdm630'"):
        load_map("eastron-sdm631")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'unit = "m3"',
            'unit = "m4"',
            'x.toml:16: registers[0].unit: "m4". the units of gas_volume are mL, L, m3.',
        ),
        (
            'temperature = "20C"\n',
            "\n",
            (
                "x.toml:9: registers[0].temperature: gas_volume without its reference state."
                ' state "actual", "0C", "15C" or "20C", as the manual says.'
            ),
        ),
        (
            'moisture = "dry"',
            'temperature = "0C"',
            (
                "x.toml:22: registers[1].moisture: co2_fraction without its reference state."
                ' state "wet" or "dry", as the manual says.\n'
                'x.toml:29: registers[1].temperature: "0C". there is no such state of co2_fraction; remove it.'
            ),
        ),
        (
            'name = "fraction"',
            'name = "volume"',
            'x.toml:23: registers[1].name: a second "volume". the first is in line 10; rename one.',
        ),
        (
            "modulus = 1000000",
            "modulus = 100000000",
            "x.toml:18: registers[0].modulus: 100000000 m3. u32 at this scale holds less than 42949672.96 m3.",
        ),
        (
            "modulus = 1000000",
            "modulus = 1000000.005",
            "x.toml:18: registers[0].modulus: 1000000.005 m3. a whole number of steps of 0.01 m3 is needed.",
        ),
        (
            'moisture = "dry"',
            'moisture = "dry"\nmodulus = 10',
            "x.toml:30: registers[1].modulus: 10 on co2_fraction. only a counter rolls over; remove it.",
        ),
        (
            "resolution = 0.01",
            "resolution = 0.001",
            (
                "x.toml:19: registers[0].resolution: 0.001 m3."
                " finer than the register's own step of 0.01 m3; is the scale right?"
            ),
        ),
        (
            "resolution = 0.01",
            "resolution = 1000000",
            "x.toml:19: registers[0].resolution: 1000000 m3. coarser than all the register can show.",
        ),
        (
            "sentinels = [4294967295]",
            "sentinels = [\n  0,\n  4294967296,\n]",
            "x.toml:22: registers[0].sentinels[1]: 4294967296. u32 has 32 bits: at most 4294967295.",
        ),
        (
            'probe = { register = "model_code"',
            'probe = { register = "modelcode"',
            "x.toml:7: probe.register: no register \"modelcode\". did you mean 'model_code'? name one of this map.",
        ),
        (
            "address = 10",
            "address = 65535",
            "x.toml:13: registers[0].address: 65535 with 2 registers. the last register is 65535.",
        ),
        (
            'quantity = "gas_volume"',
            'quantity = "gas_volum"',
            "x.toml:11: registers[0].quantity: \"gas_volum\". did you mean 'gas_volume'? one of active_energy_import,",
        ),
        ("scale = 0.01", "scal = 0.01", "x.toml:15: registers[0].scal: unknown key 'scal'. did you mean 'scale'?"),
        ("scale = 0.01", "scale = 1e999999999", "x.toml:15: registers[0].scale: 1E+999999999."),
        ("function = 3", "function = 5", "x.toml:34: registers[2].function: 5. write 3 or 4."),
        (
            'quantity = "device_status"',
            'quantity = "operating_state"\nscale = 2',
            "x.toml:37: registers[2].type: u16 x 2. an operating state is a code",
        ),
        (
            'name = "model_code"',
            'name = "model_code"\nresolution = 1',
            "x.toml:33: registers[2].resolution: 1 1. a code has no step; remove it.",
        ),
        (
            'name = "model_code"',
            'name = "Model code"',
            "x.toml:32: registers[2].name: \"Model code\". at most 64 of a-z, 0-9 and '_', beginning with",
        ),
        (
            "address = 10",
            "addresses = [10, 11, 12]",
            "x.toml:13: registers[0].addresses: 3 registers for u32. u32 takes 2: name each, highest first.",
        ),
        ("address = 10", "addresses = [10, 10]", "x.toml:13: registers[0].addresses: a register twice."),
        (
            "address = 10",
            "address = 10\naddresses = [11, 10]",
            "x.toml:13: registers[0].address: 10, but addresses begin with 11. state either address or addresses.",
        ),
        (
            "address = 10",
            'addresses = [11, 10]\nword_order = "little"',
            'x.toml:14: registers[0].word_order: "little" with addresses. addresses name the most significant',
        ),
        (
            "address = 10",
            "addresses = [10, 40]",
            "x.toml:13: registers[0].addresses: 27 unused registers between its own. more than max_gap = 16:",
        ),
        (
            "address = 10",
            "addresses = [10, 400]",
            "x.toml:13: registers[0].addresses: u32 lies in 391 registers. more than max_registers = 125; correct one.",
        ),
        (
            'type = "u32"\nscale = 0.01',
            'type = "u64"\nscale_factor = { address = 14 }',
            "x.toml:15: registers[0].scale_factor: u64 and its scale factor take 5 registers. a word holds 4:",
        ),
        ("scale = 0.01", "bits = [4, 32]", "x.toml:15: registers[0].bits: 4 to 32. lowest and highest bit, 0 to 31"),
        (
            'type = "s16"',
            'type = "s16"\nbits = [0, 3]',
            "x.toml:28: registers[1].bits: bits of s16. only an unsigned integer has parts; use a u type.",
        ),
        ("scale = 0.01", "offset = 1", "x.toml:15: registers[0].offset: 1 on gas_volume. a counter is read by its"),
        (
            'type = "u16"',
            'type = "u16"\nscale_factor = { address = 1 }',
            "x.toml:37: registers[2].scale_factor: a scaled code. a code has no scale; remove it.",
        ),
        (
            'type = "u16"',
            'type = "u16"\ncodes = { 1 = "on", 65536 = "off" }',
            "x.toml:37: registers[2].codes.65536: 65536. u16 ends at 65535 here.",
        ),
        ('type = "s16"', 'type = "s16"\nflags = { 0 = "on" }', "x.toml:28: registers[1].flags: flags of co2_fraction"),
        (
            'expect = "7"',
            "least = 1",
            "x.toml:7: probe: both or neither of an expected value and its limits. write expect, or least and most.",
        ),
        (
            'status = "unconfirmed"',
            'status = "second-hand"',
            'x.toml:5: status: "second-hand". name in [[sources]] what was read, or write "unconfirmed".',
        ),
        (
            'status = "unconfirmed"',
            'status = "unconfirmed"\nquirks = { max_registers = 1 }',
            "x.toml:15: registers[0].type: u32 takes 2 registers. more than max_registers = 1; correct one.",
        ),
    ],
)
def test_a_broken_map_names_line_field_and_what_to_do(old: str, new: str, message: str) -> None:
    """Each broken rule has its own words, at its own line."""
    assert old in GOOD
    with pytest.raises(InputErrors) as caught:
        parse_map(GOOD.replace(old, new, 1), "x.toml")

    assert str(caught.value).startswith(message)
