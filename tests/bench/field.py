"""The measured site: devices of float32 registers, their plan and map as texts, and streams an agent would sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from protocols.modbus.planner import plan_reads
from protocols.plan.bound import BoundPlan
from protocols.plan.document import encode_document, open_document
from protocols.quantities import Kind
from protocols.records import Batch, Clock, ClockState, FoldState, ItemKind, PlanItem, Samples, StreamItem
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.windows.series import slot_range
from protocols.wire import topics
from protocols.wire.codec import item_digest, seal_item
from protocols.wire.keys import fingerprint, public_bytes

MODEL = "bench-meter"
START_MS = 1_760_000_400_000
"""A full hour. [UTC ms]"""
_GAUGES = (("active_power", "W"), ("voltage", "V"), ("current", "A"))


@dataclass(frozen=True, slots=True)
class Size:
    """How large the site is; a device has ``counters`` + ``gauges`` float32, a block of registers per entry."""

    devices: int = 50
    counters: int = 1
    gauges: int = 39
    blocks: tuple[int, ...] = (20, 12, 8)
    interval_ms: int = 1000
    window_s: int = 60
    batch_s: int = 60
    per_bus: int = 1

    @property
    def points(self) -> int:
        """Readings of one round."""
        return self.devices * (self.counters + self.gauges)


RIG = Size()
"""50 devices x 40 float32 in 3 blocks."""
PANEL = Size(devices=1, counters=12, gauges=38, blocks=(50,))
"""50 points of one device: 12 counters, 38 gauges."""


def map_text(size: Size) -> str:
    """Register map of the device."""
    parts = [
        (f'schema = 1\nmodel = "{MODEL}"\nmaker = "none"\ntitle = "Made up to measure"\nstatus = "simulator-only"\n'
        '[manual]\ntitle = "none"\nrevision = "1"\npage = "1"\nsource = "this text"\n'
        '[probe]\nregister = "r0"\nexpect = "a number"\n[quirks]\nmax_registers = 125\nmax_gap = 8\n')
    ]
    addresses = [100 * block + 2 * place for block, count in enumerate(size.blocks) for place in range(count)]
    if len(size.blocks) == 1:
        addresses = [2 * place for place in range(size.blocks[0])]
    for at, address in enumerate(addresses):
        quantity, unit = ("active_energy_import", "kWh") if at < size.counters else _GAUGES[at % 3]
        rest = "resolution = 0.1\n" if at < size.counters else ""
        parts.append(
            f'[[registers]]\nname = "r{at}"\nquantity = "{quantity}"\nfunction = 3\naddress = {address}\n'
            f'type = "float32"\nunit = "{unit}"\n{rest}'
        )
    return "\n".join(parts)


def plan_text(size: Size) -> str:
    """Monitoring plan: every counter an electricity source of its own."""
    parts = [
        ('schema = 1\nversion = "bench"\n[organisation]\nid = "org"\nname = { zh = "组织", en = "Organisation" }\n'
        '[facility]\nid = "site"\nname = { zh = "厂区", en = "Site" }\ntime_zone = "Asia/Shanghai"\n'
        f"[windows]\nwindow_s = {size.window_s}\nbatch_s = {size.batch_s}\n"
        f'[[scan_classes]]\nid = "all"\ninterval_ms = {size.interval_ms}\n'
        '[[factors]]\nid = "grid"\nname = { zh = "电网", en = "Grid" }\nvalue = 0.5306\nunit = "kgCO2/kWh"\n'
        'uncertainty_percent = 5\nsource = "made up"\nvalid_from = 2020-01-01\nconfidence = "unverified"\n')
    ]
    parts += [f'[[buses]]\nid = "b{bus}"\n' for bus in range(-(-size.devices // size.per_bus))]
    for device in range(size.devices):
        parts.append(
            f'[[instruments]]\nid = "m{device}"\nname = {{ zh = "表", en = "Meter" }}\nserial = "S{device}"\n'
            f'map = "{MODEL}"\nbus = "b{device // size.per_bus}"\nunit = {1 + device % size.per_bus}\n'
            'regime = "mandatory-periodic"\nregisters = "primary"\n'
            'accuracy = { class = "1", percent_of_reading = 1.0 }\n'
        )
        for at in range(size.counters + size.gauges):
            rate = 'max_rate = 1000000\nmax_rate_unit = "kWh/h"\n' if at < size.counters else ""
            parts.append(
                f'[[points]]\nid = "m{device}.r{at}"\ninstrument = "m{device}"\nregister = "r{at}"\n'
                f'scan_class = "all"\n{rate}'
            )
        parts += [
            f'[[sources]]\nid = "s{device}-{at}"\nname = {{ zh = "电", en = "Electricity" }}\n'
            f'kind = "purchased-electricity"\ncategory = 2\nmethod = "electricity"\ngases = ["CO2"]\n'
            f'inputs = {{ add = ["m{device}.r{at}"] }}\nfactors = {{ CO2 = ["grid"] }}\n'
            for at in range(size.counters)
        ]
    return "\n".join(parts)


@dataclass
class Signals:
    """What the registers say: random walks; ``decimal`` keeps a resolution of 0.1, else noise of 0.2 %."""

    bound: BoundPlan
    decimal: bool
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def __post_init__(self) -> None:
        self.counter = np.array([point.kind is Kind.COUNTER for point in self.bound.points])
        chosen = self.rng.choice([2300.0, 4000.0, 500.0, 12000.0, 9500.0], self.counter.size)
        self.last = np.where(self.counter, self.rng.integers(100_000, 4_000_000, self.counter.size), chosen)

    def words(self, times: int) -> NDArray[np.uint64]:
        """Register words of the next ``times`` rounds, shape (times, points)."""
        shape = (times, self.last.size)
        if self.decimal:
            reach = np.maximum(1, self.last * 0.001).astype(np.int64)
            walk = self.rng.integers(-reach, reach + 1, shape) * (self.rng.random(shape) < 0.6)
            level = self.last + np.cumsum(np.where(self.counter, self.rng.integers(0, 8, shape), walk), axis=0)
            self.last = level[-1]
        else:
            grown = self.last + np.cumsum(self.rng.random(shape) * 8, axis=0)
            noisy = self.last * (1 + 0.002 * self.rng.standard_normal(shape))
            level = np.where(self.counter, grown, noisy)
            self.last = np.where(self.counter, grown[-1], self.last)
        return (level / 10).astype(np.float32).view(np.uint32).astype(np.uint64)


@dataclass
class Stream:
    """Signed items of one agent: the plan, then batches as long as they are asked for."""

    size: Size
    decimal: bool = True
    items: list[tuple[ItemKind, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.public = public_bytes(self.key)
        self.agent_id = fingerprint(self.public)
        self.document = encode_document(plan_text(self.size), {MODEL: map_text(self.size)})
        self.bound = open_document(self.document)
        self.requests = plan_reads(self.bound)
        self.signals = Signals(self.bound, self.decimal)
        self.delays = np.random.default_rng(8)
        self.at_ms = START_MS
        self.state: FoldState = initial_state(self.bound, START_MS)
        self._add(PlanItem(b"\x07" * 16, 0, bytes(32), self.document), ItemKind.PLAN)

    def more(self, batches: int) -> Stream:
        """The stream with so many batches more."""
        for _ in range(batches):
            self._add(self._next_batch(), ItemKind.BATCH)
        return self

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """(topic, payload) of every item."""
        return ((topics.up(self.agent_id, kind), data) for kind, data in self.items)

    @property
    def readings(self) -> int:
        """Readings of all batches."""
        return (len(self.items) - 1) * self.size.points * (self.size.batch_s * 1000 // self.size.interval_ms)

    @property
    def batch_bytes(self) -> int:
        """Bytes of all batches."""
        return sum(len(data) for kind, data in self.items if kind is ItemKind.BATCH)

    def _add(self, item: StreamItem, kind: ItemKind) -> None:
        self.items.append((kind, seal_item(item, self.key)))

    def _next_batch(self) -> Batch:
        from_ms, to_ms = self.at_ms, self.at_ms + 1000 * self.size.batch_s
        first, count = slot_range(from_ms, to_ms, self.size.interval_ms)
        words = self.signals.words(count)
        samples = tuple(
            Samples(
                request, first, np.zeros(count, dtype=np.uint16), self.delays.integers(3, 9, count),
                words[:, list(request.points)],
            )
            for request in self.requests
        )  # fmt: skip
        folded = fold(self.bound, self.state, samples, (), from_ms, to_ms)
        batch = Batch(
            b"\x07" * 16, len(self.items), item_digest(self.items[-1][1]), self.bound.digest, from_ms, to_ms,
            Clock(b"\x01" * 16, START_MS, ClockState.SYNCED, 5), "bench", self.state, samples, folded.derived_events,
            folded.windows, folded.slots,
        )  # fmt: skip
        self.at_ms, self.state = to_ms, folded.state
        return batch
