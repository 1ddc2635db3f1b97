"""A small plan with one electricity meter, one gas meter and one stack, and samples made by hand for it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import numpy as np

from protocols.modbus.maps import parse_map
from protocols.modbus.planner import plan_reads
from protocols.plan.bind import bind
from protocols.plan.bound import BoundPlan
from protocols.plan.document import document_digest, encode_document
from protocols.plan.load import parse_plan
from protocols.records import Fate, ReadRequest, Samples
from protocols.windows.series import slot_range

MAP = """
schema = 1
model = "test-rig"
maker = "none"
title = "Registers made up for tests"
status = "simulator-only"

[manual]
title = "none"
revision = "1"
page = "1"
source = "this file"

[probe]
register = "state"
expect = "0 to 3"

[[registers]]
name = "energy"
quantity = "active_energy_import"
function = 4
address = 0
type = "u32"
unit = "Wh"
resolution = 1

[[registers]]
name = "volume"
quantity = "gas_volume"
function = 4
address = 2
type = "u32"
unit = "m3"
scale = 100
scale_by = "divide"
temperature = "0C"
resolution = 0.01
modulus = 10000000

[[registers]]
name = "flow"
quantity = "gas_flow"
function = 3
address = 0
type = "float32"
unit = "m3/h"
temperature = "actual"
moisture = "wet"

[[registers]]
name = "temperature"
quantity = "gas_temperature"
function = 3
address = 2
type = "float32"
unit = "Cel"

[[registers]]
name = "pressure"
quantity = "gas_pressure_absolute"
function = 3
address = 4
type = "float32"
unit = "kPa"

[[registers]]
name = "water"
quantity = "water_fraction"
function = 3
address = 6
type = "float32"
unit = "vol%"

[[registers]]
name = "co2"
quantity = "co2_fraction"
function = 3
address = 8
type = "float32"
unit = "vol%"
moisture = "dry"

[[registers]]
name = "state"
quantity = "operating_state"
function = 3
address = 10
type = "u16"
unit = "1"
"""

PLAN = """
schema = 1
version = "test-1"

[organisation]
id = "org"
name = { zh = "组织", en = "Organisation" }

[facility]
id = "site"
name = { zh = "厂区", en = "Site" }
time_zone = "Asia/Shanghai"

[windows]
window_s = WINDOW
batch_s = 60

[[scan_classes]]
id = "meters"
interval_ms = 5000

[[scan_classes]]
id = "stack"
interval_ms = 1000

[[buses]]
id = "line-a"

[[instruments]]
id = "em-1"
name = { zh = "电能表", en = "Electricity meter" }
serial = "E1"
map = "test-rig"
bus = "line-a"
unit = 1
regime = "mandatory-periodic"
registers = "primary"
accuracy = { class = "1", percent_of_reading = 1.0 }

[[instruments]]
id = "gm-1"
name = { zh = "燃气表", en = "Gas meter" }
serial = "G1"
map = "test-rig"
bus = "line-a"
unit = 2
regime = "mandatory-periodic"
registers = "primary"
accuracy = { class = "1.5", percent_of_reading = 1.5 }

[[instruments]]
id = "stack-1"
name = { zh = "烟气分析仪", en = "Stack analyzer" }
serial = "S1"
map = "test-rig"
bus = "line-a"
unit = 3
regime = "user-defined"
registers = "primary"
accuracy = { percent_of_reading = 2.0, repeatability_percent = 0.5 }

[[points]]
id = "em-1.energy"
instrument = "em-1"
register = "energy"
scan_class = "meters"
max_rate = 1000
max_rate_unit = "kWh/h"

[[points]]
id = "gm-1.volume"
instrument = "gm-1"
register = "volume"
scan_class = "meters"
max_rate = 1000
max_rate_unit = "m3/h"

[[points]]
id = "stack-1.flow"
instrument = "stack-1"
register = "flow"
scan_class = "stack"

[[points]]
id = "stack-1.temperature"
instrument = "stack-1"
register = "temperature"
scan_class = "stack"

[[points]]
id = "stack-1.pressure"
instrument = "stack-1"
register = "pressure"
scan_class = "stack"

[[points]]
id = "stack-1.water"
instrument = "stack-1"
register = "water"
scan_class = "stack"

[[points]]
id = "stack-1.co2"
instrument = "stack-1"
register = "co2"
scan_class = "stack"

[[points]]
id = "stack-1.state"
instrument = "stack-1"
register = "state"
scan_class = "stack"

[[sources]]
id = "grid"
name = { zh = "外购电力", en = "Purchased electricity" }
kind = "purchased-electricity"
category = 2
method = "electricity"
gases = ["CO2"]
inputs = { add = ["em-1.energy"] }
factors = { CO2 = ["grid-factor"] }

[[sources]]
id = "boiler"
name = { zh = "锅炉", en = "Boiler" }
kind = "stationary-combustion"
category = 1
method = "combustion"
gases = ["CO2"]
inputs = { add = ["gm-1.volume"] }
factors = { CO2 = ["gas-factor"] }

[[sources]]
id = "stack"
name = { zh = "烟囱", en = "Stack" }
kind = "stack"
category = 1
method = "cems"
role = "cross-check"
cross_check_of = "boiler"
gases = ["CO2"]
operating = { point = "stack-1.state", running = [1], starting = [2], stopped = [0], standby = [3] }

[sources.inputs]
flow = "stack-1.flow"
temperature = "stack-1.temperature"
pressure = "stack-1.pressure"
moisture = "stack-1.water"
concentration = { CO2 = "stack-1.co2" }

[[factors]]
id = "grid-factor"
name = { zh = "电网因子", en = "Grid factor" }
value = 0.5306
unit = "kgCO2/kWh"
uncertainty_percent = 5
source = "made up for tests"
valid_from = 2020-01-01
confidence = "unverified"

[[factors]]
id = "gas-factor"
name = { zh = "天然气因子", en = "Natural gas factor" }
value = 2.162
unit = "kgCO2/m3"
state = "0C"
uncertainty_percent = 4
source = "made up for tests"
valid_from = 2020-01-01
confidence = "unverified"
"""


def small_document(window_s: int = 5, plan: str = PLAN) -> bytes:
    """The plan document of the small plan."""
    return encode_document(plan.replace("WINDOW", str(window_s)), {"test-rig": MAP})


def small_plan(window_s: int = 5, plan: str = PLAN, rig: str = MAP) -> BoundPlan:
    """The small plan, bound; its map is not in the package's library."""
    text = plan.replace("WINDOW", str(window_s))
    maps = {"test-rig": parse_map(rig, "test-rig.toml")}
    return bind(parse_plan(text, "plan.toml"), maps, document_digest(small_document(window_s, plan)))


def float_words(value: float) -> int:
    """The two registers of a float32 as one unsigned integer."""
    return int(struct.unpack(">I", struct.pack(">f", value))[0])


Answer = Callable[[ReadRequest, int, int], tuple[int, Mapping[str, int]] | Fate]
"""(request, slot, due instant) -> (delay in ms, words by point id) or a missing reason."""


def sample(bound: BoundPlan, from_ms: int, to_ms: int, answer: Answer) -> tuple[Samples, ...]:
    """Samples of every request over a span, as ``answer`` tells them."""
    blocks = []
    for request in plan_reads(bound):
        interval = bound.intervals_ms[request.scan_class]
        first, count = slot_range(from_ms, to_ms, interval)
        fates, delays, rows = [], [], []
        for slot in range(first, first + count):
            told = answer(request, slot, slot * interval)
            if isinstance(told, Fate):
                fates.append(int(told))
                continue
            fates.append(int(Fate.GOOD))
            delays.append(told[0])
            rows.append([told[1][bound.points[p].id] for p in request.points])
        words = np.array(rows, dtype=np.uint64).reshape(len(rows), len(request.points))
        blocks.append(
            Samples(request, first, np.array(fates, dtype=np.uint16), np.array(delays, dtype=np.int64), words)
        )
    return tuple(blocks)
