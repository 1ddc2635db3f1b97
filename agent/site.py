"""What one agent works on: the plan with its register maps, the read plan, and where each bus is reached."""

from __future__ import annotations

from dataclasses import dataclass

from agent.config import BusTable, Config
from protocols.errors import InputErrors
from protocols.modbus.planner import plan_reads
from protocols.plan.bound import BoundPlan
from protocols.plan.document import make_document, open_document
from protocols.records import ReadRequest
from protocols.toml import read_toml


@dataclass(frozen=True, slots=True)
class Reading:
    """A bound plan and its read plan."""

    bound: BoundPlan
    requests: tuple[ReadRequest, ...]

    def intervals(self, bus: int) -> list[tuple[int, int]]:
        """Position and interval [ms] of every request of a bus."""
        return [
            (position, self.bound.intervals_ms[request.scan_class])
            for position, request in enumerate(self.requests)
            if request.bus == bus
        ]


@dataclass(frozen=True, slots=True)
class Site:
    """The plan in force by the files: its document as it travels, how it is read, and the endpoint of every bus."""

    document: bytes
    reading: Reading
    endpoints: tuple[BusTable, ...]


def open_reading(document: bytes) -> Reading:
    """The reading of a plan document that was valid once."""
    bound = open_document(document)
    return Reading(bound, plan_reads(bound))


def load_site(config: Config) -> Site:
    """Read plan and maps and match the buses; InputErrors naming file, line and field."""
    document = make_document(config.plan)
    bound = open_document(document, str(config.plan))
    ids = [bus.id for bus in bound.plan.buses]
    _check_buses(config, ids)
    return Site(document, Reading(bound, plan_reads(bound)), tuple(config.settings.buses[bus] for bus in ids))


def _check_buses(config: Config, ids: list[str]) -> None:
    """Every bus of the plan has an endpoint, and every endpoint a bus."""
    own = config.settings.buses
    source = read_toml(config.file)
    errors = [
        source.error(("buses",), f"no table for bus '{bus}' of {config.plan.name}", f"add [buses.{bus}]")
        for bus in ids
        if bus not in own
    ]
    errors += [
        source.error(("buses", bus), "the plan has no such bus", f"its buses: {', '.join(ids)}")
        for bus in own
        if bus not in ids
    ]
    if errors:
        raise InputErrors(errors)
