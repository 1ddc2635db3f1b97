"""A plant recorded on a register tape under a virtual clock: what an agent would have read, without the wait.

Every request of the plan's read plan is due as an agent would ask it and is answered some milliseconds later;
the registers are those the instruments show at that instant. Delays and missing answers are drawn per request
and span, so a tape is the same however many processes write it.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from protocols.records import Fate, ReadRequest
from protocols.tape import Header, TapeWriter, Track, open_plan
from protocols.windows.series import slot_range
from simulators.faults.process import Stop
from simulators.instruments import Device, build_devices
from simulators.ledger import Truth, truth
from simulators.plant import Plant, build_plant
from simulators.recording import Recorder
from simulators.scenario import ScenarioError, load_scenario
from simulators.trajectory import Trajectory

HOUR_MS = 3_600_000
BLOCK = 6
"""Spans one process computes at a time."""
ANSWER_MS = 4
"""From the end of one request's answer to the end of the next, at the least. [ms]"""
JITTER_MS = 4


@dataclass(frozen=True, slots=True)
class Recording:
    """What decides a tape; ``timeouts`` is the share of requests that nobody answers."""

    scenario: str
    seed: int
    start: datetime
    timeouts: float
    header: Header

    def plant(self) -> Plant:
        """The plant that is recorded; it starts with the tape."""
        return build_plant(load_scenario(self.scenario), self.seed, self.start)


@dataclass
class Recorded:
    """Makes the tracks of a recording, span by span."""

    recording: Recording
    _recorder: Recorder = field(init=False)
    _devices: dict[int, Device] = field(init=False)
    _intervals: tuple[int, ...] = field(init=False)
    _requests: tuple[ReadRequest, ...] = field(init=False)

    def __post_init__(self) -> None:
        plant = self.recording.plant()
        untold = [fault.kind for fault in plant.scenario.faults if not isinstance(fault, Stop)]
        if untold:
            raise ScenarioError(
                f"scenario {plant.scenario.name}: fault {untold[0]}: a tape holds no faults but stops. "
                "Take the others out, or let an agent read the plant"
            )
        self._recorder = Recorder(plant, Trajectory(plant))
        self._devices = {device.instrument.unit: device for device in build_devices(plant)}
        bound, self._requests = open_plan(self.recording.header)
        self._intervals = bound.intervals_ms
        strange = sorted({request.unit for request in self._requests} - self._devices.keys())
        if strange:
            known = ", ".join(str(unit) for unit in sorted(self._devices))
            raise ScenarioError(f"plan: unit {strange[0]} is no instrument of the scenario. Its units: {known}")

    def spans(self, first: int, count: int) -> list[list[Track]]:
        """Tracks of every request, for ``count`` spans from ``first``."""
        tracks = [self._tracks(position, request, first, count) for position, request in enumerate(self._requests)]
        return [list(span) for span in zip(*tracks, strict=True)]

    def _tracks(self, position: int, request: ReadRequest, first: int, count: int) -> list[Track]:
        interval = self._intervals[request.scan_class]
        due: list[NDArray[np.int64]] = []
        fates: list[NDArray[np.uint16]] = []
        delays: list[NDArray[np.int64]] = []
        for index in range(first, first + count):
            from_ms, to_ms = self.recording.header.between(index)
            slot, slots = slot_range(from_ms, to_ms, interval)
            drawn = self._drawn(position, from_ms, 2 * slots)
            lost = (drawn[:slots] >> np.uint64(11)).astype(np.float64) / 2**53 < self.recording.timeouts
            delay = ANSWER_MS * (position + 1) + (drawn[slots:] % np.uint64(JITTER_MS)).astype(np.int64)
            fates.append(np.where(lost, np.uint16(Fate.TIMEOUT), np.uint16(Fate.GOOD)))
            delays.append(delay[~lost])
            due.append(((slot + np.arange(slots)) * interval)[~lost])
        at_ms = np.concatenate(due) + np.concatenate(delays)
        device = self._devices[request.unit]
        registers = self._recorder.read(device, request.function, request.address, request.count, at_ms)
        edges = np.concatenate(([0], np.add.accumulate([one.size for one in delays]))).tolist()
        return [
            Track(fate, delay, registers[low:high])
            for fate, delay, (low, high) in zip(fates, delays, pairwise(edges), strict=True)
        ]

    def _drawn(self, position: int, from_ms: int, count: int) -> NDArray[np.uint64]:
        name = f"tape\x1f{self.recording.seed}\x1f{position}\x1f{from_ms}".encode()
        key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "big")
        return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)


def write_tape(recording: Recording, out: Path, jobs: int, progress: Callable[[int], None]) -> int:
    """Write the tape in place of what is at ``out``, once it is whole; the number of readings on it.

    Parameters
    ----------
    jobs : int
        Processes that compute spans; 1 works in this one.
    progress : callable
        Told how many spans are written.
    """
    part = out.with_name(out.name + ".part")
    readings = 0
    try:
        with part.open("wb") as file:
            writer = TapeWriter(file, recording.header)
            for done, tracks in enumerate(_computed(recording, jobs), start=1):
                writer.write(tracks)
                pairs = zip(tracks, writer.requests, strict=True)
                readings += sum(track.delay_ms.size * len(request.points) for track, request in pairs)
                progress(done)
            writer.finish()
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return readings


def truth_of(recording: Recording) -> dict[str, Any]:
    """What truly happened while the tape ran: in total, per hour, and per day of the facility's zone; all integers."""
    plant, header = recording.plant(), recording.header
    zone = ZoneInfo(open_plan(header)[0].plan.facility.time_zone)
    hours = [*range(header.start_ms, header.end_ms, HOUR_MS), header.end_ms]
    days = [header.start_ms, *_midnights(header.start_ms, header.end_ms, zone), header.end_ms]
    whole = truth(plant, header.start_ms, header.end_ms)
    return {
        "tape": header.digest.hex(),
        "total": whole.as_json(plant),
        "time_zone": zone.key,
        "days": _columns(plant, days),
        "hours": _columns(plant, hours),
    }


def write_truth(recording: Recording, out: Path) -> Path:
    """The truth as JSON beside the tape; where it was written."""
    path = out.with_name(out.name + ".truth.json")
    path.write_text(json.dumps(truth_of(recording), separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def _computed(recording: Recording, jobs: int) -> Iterator[list[Track]]:
    """Every span in order; a bounded number of blocks is under way at a time."""
    spans = recording.header.spans
    blocks = [(first, min(BLOCK, spans - first)) for first in range(0, spans, BLOCK)]
    if jobs == 1 or len(blocks) == 1:
        recorded = Recorded(recording)
        for first, count in blocks:
            yield from recorded.spans(first, count)
        return
    Recorded(recording)  # what cannot be recorded says so here, not in another process
    with ProcessPoolExecutor(jobs, initializer=_begin, initargs=(recording,)) as pool:
        under_way: deque[Future[list[list[Track]]]] = deque()
        for block in blocks:
            under_way.append(pool.submit(_compute, *block))
            if len(under_way) > 2 * jobs:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


_own: list[Recorded] = []


def _begin(recording: Recording) -> None:
    _own[:] = [Recorded(recording)]


def _compute(first: int, count: int) -> list[list[Track]]:
    return _own[0].spans(first, count)


def _columns(plant: Plant, edges: list[int]) -> dict[str, Any]:
    """Truth of every stretch between two edges, a list per amount."""
    parts: list[Truth] = [truth(plant, start, end) for start, end in pairwise(edges)]
    return {
        "from_ms": edges[:-1],
        "to_ms": edges[1:],
        "sources_mg": {
            source: {gas: [part.emissions_mg[source][gas] for part in parts] for gas in table.gases}
            for source, table in plant.scenario.sources.items()
        },
        "activity": {
            "import_milliwatt_hours": {name: [part.import_mwh[name] for part in parts] for name in plant.loads},
            "export_milliwatt_hours": {name: [part.export_mwh[name] for part in parts] for name in plant.loads},
            "gas_ml_at_0c": [part.gas_ml for part in parts],
        },
    }


def _midnights(from_ms: int, to_ms: int, zone: ZoneInfo) -> list[int]:
    """The zone's midnights strictly between two instants. [UTC ms]"""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    day = (epoch + timedelta(milliseconds=from_ms)).astimezone(zone).date()
    found: list[int] = []
    while True:
        day += timedelta(days=1)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        at_ms = round((midnight - epoch) / timedelta(milliseconds=1))
        if at_ms >= to_ms:
            return found
        if at_ms > from_ms:
            found.append(at_ms)
