"""What one agent works on: the plan with its register maps, the read plan, and where each bus is reached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.config import Config
from agent.endpoint import AnyBus
from agent.findings import NOTHING, Findings, cut_requests
from protocols.errors import EmitraceError, InputErrors
from protocols.modbus.planner import plan_reads
from protocols.plan.bound import BoundPlan
from protocols.plan.document import document_digest, make_document, open_document
from protocols.records import ReadRequest
from protocols.toml import read_toml
from protocols.wire import cbor
from protocols.wire.errors import WireError

PUSHED = "plan-pushed.cbor"
"""In the state folder: a plan that the collector pushed, and the digest of the files it goes before."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A bound plan and how it is read.

    Attributes
    ----------
    requests : tuple of ReadRequest
        The read plan, cut as the findings say.
    findings : Findings
        What is known of registers that the devices do not have.
    unsupported : mapping of int to int
        Requests, by position, for such registers, and when they were last refused. [UTC ms]
    """

    bound: BoundPlan
    requests: tuple[ReadRequest, ...]
    findings: Findings = NOTHING
    unsupported: Mapping[int, int] = field(default_factory=dict)

    def intervals(self, bus: int) -> list[tuple[int, int]]:
        """Position and interval [ms] of every request of a bus."""
        return [
            (position, self.bound.intervals_ms[request.scan_class])
            for position, request in enumerate(self.requests)
            if request.bus == bus
        ]


@dataclass(frozen=True, slots=True)
class Site:
    """The plan in force: its document as it travels, how it is read, each bus's endpoint, and whether it was pushed."""

    document: bytes
    reading: Reading
    endpoints: tuple[AnyBus, ...]
    pushed: bool = False

    @property
    def lines(self) -> dict[str, AnyBus]:
        """The endpoint of each bus by its id in the plan."""
        return dict(zip((bus.id for bus in self.reading.bound.plan.buses), self.endpoints, strict=True))


def reading_of(bound: BoundPlan, findings: Findings = NOTHING) -> Reading:
    """How a plan is read by what is known of its devices."""
    requests, unsupported = cut_requests(bound, plan_reads(bound), findings)
    return Reading(bound, requests, findings, unsupported)


def open_reading(document: bytes, findings: Findings = NOTHING) -> Reading:
    """The reading of a plan document that was valid once."""
    return reading_of(open_document(document), findings)


def load_site(config: Config) -> Site:
    """The plan in force and its buses; InputErrors naming file, line and field.

    A plan that the collector pushed goes before ``plan.toml`` as long as that file and its maps stay what they were
    when it came: whoever edits them beside the meters has the last word.
    """
    own = make_document(config.plan)
    pushed = _pushed_over(config, document_digest(own))
    if pushed is not None:
        return _site_of(config, pushed, "pushed plan", pushed=True)
    return _site_of(config, own, str(config.plan), pushed=False)


def pushed_site(config: Config, document: bytes, follows: BoundPlan) -> Site:
    """The site under a plan that the collector pushed.

    Raises
    ------
    EmitraceError
        It does not open, is of another site, or names a bus that ``agent.toml`` does not reach.
    """
    site = _site_of(config, document, "pushed plan", pushed=True)
    plan = site.reading.bound.plan
    named, ours = ((one.organisation.id, one.facility.id) for one in (plan, follows.plan))
    if named != ours:
        hint = "push it to an agent of that site"
        raise EmitraceError("pushed plan", f"is of {'/'.join(named)}, this agent's is of {'/'.join(ours)}", hint)
    return site


def keep_pushed(config: Config, document: bytes) -> None:
    """Hold a pushed plan over restarts; it is on the disk when this returns."""
    data = cbor.encode({1: document_digest(make_document(config.plan)), 2: document})
    path = config.state_dir / PUSHED
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _pushed_over(config: Config, own: bytes) -> bytes | None:
    """The pushed plan that goes before the files with this digest; None where there is none."""
    try:
        content = cbor.decode((config.state_dir / PUSHED).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, WireError) as error:
        hint = "delete it to go back to plan.toml; the collector can push the plan again"
        raise EmitraceError(str(config.state_dir / PUSHED), f"cannot be read: {error}", hint) from error
    held = content if isinstance(content, dict) else {}
    document = held.get(2)
    return document if held.get(1) == own and isinstance(document, bytes) else None


def _site_of(config: Config, document: bytes, file: str, *, pushed: bool) -> Site:
    bound = open_document(document, file)
    ids = [bus.id for bus in bound.plan.buses]
    _check_buses(config, file, ids, spare_allowed=pushed)
    endpoints = tuple(config.bus(bus) for bus in ids)
    return Site(document, reading_of(bound), endpoints, pushed)


def _check_buses(config: Config, file: str, ids: list[str], *, spare_allowed: bool) -> None:
    """Every bus of the plan has an endpoint, and every endpoint a bus; a pushed plan may do without one."""
    own = config.settings.buses
    source = read_toml(config.file)
    name = Path(file).name
    errors = [
        source.error(("buses",), f"no table for bus '{bus}' of {name}", f"add [buses.{bus}]")
        for bus in ids
        if bus not in own
    ]
    errors += [
        source.error(("buses", bus), "the plan has no such bus", f"its buses: {', '.join(ids)}")
        for bus in own
        if bus not in ids and not spare_allowed
    ]
    if errors:
        raise InputErrors(errors)
