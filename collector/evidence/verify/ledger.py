"""From checked windows to hours and inventory once more, and the comparison with what the bundle states."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from collector.evidence.container import Container
from collector.evidence.layout import HOURS, INVENTORY, Manifest, canonical_json
from collector.evidence.verify.claims import Claims
from collector.evidence.verify.documents import REFUSALS, Documents
from collector.evidence.verify.report import Report, Step
from collector.evidence.verify.rows import Key, Rows, key_of
from collector.hours.assemble import WindowSpan, assemble
from collector.hours.cells import cell_of
from collector.hours.lives import Lives
from collector.hours.model import HourRow
from collector.hours.sources import SourceFacts, source_facts
from collector.inventory.assemble import assemble_inventory
from collector.inventory.document import plain
from collector.inventory.model import Inventory
from protocols.plan.bound import BoundPlan
from protocols.records import Window

U_TOLERANCE = 1e-9
"""Relative; uncertainties agree to this, every integer exactly."""

_LINE_BYTES = 1 << 20
_UNSTATED = "windows make this row, but it is not stated"
_Cell = tuple[int, int]


@dataclass(slots=True)
class Ledger:
    """Gathers one agent's windows by cell and closes the cells that nothing can reach any more."""

    documents: Documents
    manifest: Manifest
    report: Report
    rows: Rows = field(default_factory=Rows)
    plans_used: set[str] = field(default_factory=set)
    claims: Claims = field(default_factory=Claims)
    _open: dict[_Cell, dict[bytes, list[Window]]] = field(default_factory=dict)
    _lives: Lives | None = None

    def add(self, agent: str, stream: str, plan: BoundPlan, windows: tuple[Window, ...], where: str) -> None:
        """Windows of a batch that recomputes; those that begin outside the period are left out.

        A batch that states a moment somebody stated already is a contradiction and counts for nothing.
        """
        for window in windows:
            taken = self.claims.take(agent, stream, plan, window)
            if taken:
                self.report.find(Step.HOURS, where, taken)
                return
        zone = ZoneInfo(plan.plan.facility.time_zone)
        for window in windows:
            if self.manifest.from_ms <= window.from_ms < self.manifest.to_ms:
                cell = self._open.setdefault(cell_of(window.from_ms, zone), defaultdict(list))
                cell[plan.digest].append(window)
                self.plans_used.add(plan.digest.hex())

    def close_before(self, agent: str, at_ms: int) -> None:
        """Make the rows of cells that end before an instant."""
        self._close(agent, sorted(cell for cell in self._open if cell[1] <= at_ms))

    def close_all(self, agent: str) -> None:
        """Make the rows of all cells of this agent."""
        self._close(agent, sorted(self._open))

    def _close(self, agent: str, cells: list[_Cell]) -> None:
        scope = self.manifest.scope
        made = [row for cell in cells for row in self._made(agent, cell)]
        for row in sorted(made, key=lambda row: (row.from_ms, row.source, row.gas)):
            if not scope.has(row.agent, row.source, row.gas):
                self.report.leave_out("hour rows")
            elif not self.rows.add(row):
                key = (row.from_ms, row.agent, row.source, row.gas)
                self.report.find(Step.HOURS, _place(key), "windows of it stand too far apart in the bundle")

    def _made(self, agent: str, cell: _Cell) -> tuple[HourRow, ...]:
        by_plan = self._open.pop(cell)
        documents = self.documents
        if documents.profile is None or documents.inventory is None:
            return ()
        if cell[0] < self.manifest.from_ms or cell[1] > self.manifest.to_ms:
            self.report.find(Step.HOURS, "period", f"cuts the hour {cell[0]} to {cell[1]} of agent {agent}")
            return ()
        spans = [WindowSpan(documents.plans[digest], by_plan[digest]) for digest in sorted(by_plan)]
        try:
            if self._lives is None:
                pinned = documents.inventory.pinned
                self._lives = Lives(documents.trust, pinned.tree_size, pinned.hour_rules)
            return assemble(agent, spans, documents.profile.hour_rule, self._lives)
        except REFUSALS as error:
            self.report.find(Step.HOURS, f"agent {agent}, hour {cell[0]}", f"cannot be assembled: {error}")
            return ()


def compare_hours(container: Container, own: Rows, report: Report) -> None:
    """Every stated hour row against the recomputed one, to the last integer; both in the ledger's order."""
    before: Key | None = None
    made = own.in_order()
    next_made = next(made, None)
    for number, line in enumerate(_lines(container), 1):
        where = f"{HOURS} line {number}"
        try:
            stated = json.loads(line)
            key = key_of(stated)
            if canonical_json(stated) + b"\n" != line:
                report.find(Step.HOURS, where, "is not in canonical form")
        except REFUSALS as error:
            report.find(Step.HOURS, where, f"is no hour row: {error}")
            continue
        if before is not None and key <= before:
            report.find(Step.HOURS, where, "does not follow the row before it")
            continue
        before = key
        report.count("hour rows")
        while next_made is not None and next_made[0] < key:
            report.find(Step.HOURS, _place(next_made[0]), _UNSTATED)
            next_made = next(made, None)
        if next_made is None or next_made[0] != key:
            report.find(Step.HOURS, f"{where}, {_place(key)}", "is stated, but no window makes it")
            continue
        if next_made[1] != line:
            for difference in differences(json.loads(next_made[1]), stated):
                report.find(Step.HOURS, f"{where}, {_place(key)}", difference)
        next_made = next(made, None)
    while next_made is not None:
        report.find(Step.HOURS, _place(next_made[0]), _UNSTATED)
        next_made = next(made, None)


def compare_inventory(
    documents: Documents, manifest: Manifest, ledger: Ledger, agents: Mapping[str, bytes], report: Report
) -> None:
    """The inventory from the recomputed rows against the stated one, and what it pins against what is there."""
    inventory = documents.inventory
    if inventory is None:
        return
    _compare_pins(documents, manifest, ledger, inventory, report)
    facts: dict[tuple[str, str], SourceFacts] = {}
    for agent, digest in manifest.plans:
        if f"agent-{agent}" not in agents:
            report.find(Step.DOCUMENT, f"plan {digest.hex()}", f"the key of its agent {agent} is not in the bundle")
        plan = documents.plans.get(digest)
        for fact in source_facts(agent, plan) if plan is not None else ():
            facts[fact.agent, fact.source] = fact
    try:
        own = assemble_inventory(
            manifest.from_ms, manifest.to_ms, ledger.rows.sums(),
            manifest.scope.narrow(facts[key] for key in sorted(facts)), inventory.pinned,
        )  # fmt: skip
    except REFUSALS as error:
        report.find(Step.INVENTORY, INVENTORY, f"cannot be assembled: {error}")
        return
    report.count("inventory rows", len(own.rows))
    for difference in differences(plain(own), plain(inventory)):
        report.find(Step.INVENTORY, INVENTORY, difference)


def _compare_pins(
    documents: Documents, manifest: Manifest, ledger: Ledger, inventory: Inventory, report: Report
) -> None:
    pinned = inventory.pinned
    known, records = (
        sorted(digest for digest, at in digests if at <= pinned.tree_size)
        for digests in (documents.certificate_digests, documents.record_digests)
    )
    pairs = (
        ("period", (inventory.from_ms, inventory.to_ms), (manifest.from_ms, manifest.to_ms)),
        ("certificates", list(pinned.certificates), known),
        ("calibration records", list(pinned.records), records),
        ("plans", list(pinned.plans), sorted(ledger.plans_used)),
    )
    for what, stated, found in pairs:
        if stated != found:
            report.find(Step.INVENTORY, f"{INVENTORY} {what}", f"pins {stated}, the bundle gives {found}")
    named = {manifest.collector.hex(), *(one.name for one in manifest.log)}  # before logs had names, the key
    if pinned.origin not in named:
        seen = f"pins {pinned.origin}, the bundle's log is {manifest.origin}"
        report.find(Step.INVENTORY, f"{INVENTORY} origin", seen)
    behind = manifest.tree_size - pinned.tree_size
    if behind > 0:
        report.note(f"{INVENTORY}: as known at leaf {pinned.tree_size}; {behind} later leaves do not count in it")
    if pinned.tree_size > manifest.tree_size:
        report.find(Step.INVENTORY, f"{INVENTORY} tree_size", f"pins {pinned.tree_size} of {manifest.tree_size} leaves")


def differences(own: object, stated: object, place: str = "") -> Iterator[str]:
    """Where two plain values differ: two floats by more than the tolerance, all else at all."""
    if isinstance(own, float) and isinstance(stated, float):
        if not abs(own - stated) <= U_TOLERANCE * max(abs(own), abs(stated)):
            yield f"{place} is stated as {stated!r}, recomputed {own!r}"
    elif isinstance(own, dict) and isinstance(stated, dict) and own.keys() == stated.keys():
        for key in own:
            yield from differences(own[key], stated[key], f"{place}.{key}" if place else str(key))
    elif isinstance(own, list) and isinstance(stated, list) and len(own) == len(stated):
        for position, (a, b) in enumerate(zip(own, stated, strict=True)):
            yield from differences(a, b, f"{place}[{position}]")
    elif type(own) is not type(stated) or own != stated:
        yield f"{place or 'value'} is stated as {stated!r}, recomputed {own!r}"


def _place(key: Key) -> str:
    from_ms, agent, source, gas = key
    return f"agent {agent[:12]}, {source} {gas}, hour {from_ms}"


def _lines(container: Container) -> Iterator[bytes]:
    held = b""
    for chunk in container.chunks(HOURS):
        held += chunk
        *whole, held = held.split(b"\n")
        for line in whole:
            yield line + b"\n"
        if len(held) > _LINE_BYTES:
            break
    if held:
        yield held
