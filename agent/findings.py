"""Which registers of the plan the devices turned out not to have, kept beside the outbox until the plan changes.

A request that a device refuses for an address (exception 2) is cut until each part is answered or holds a single
value; such a value is not supported. The parts are requests like any other, and each batch says how it was read, so
collector and verifier need not know of this. A value that is not supported keeps its slots, as exception 2.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.site import Reading
from protocols.modbus.holes import part_of
from protocols.records import ReadRequest

FILE = "unsupported.json"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found under one plan.

    Attributes
    ----------
    plan : str
        Digest of its document, in hexadecimal digits; findings of another plan say nothing.
    groups : tuple of tuple of str
        Ids of the points that are read together, of every planned request that had to be cut.
    unsupported : tuple of str
        Ids of the points whose registers the device does not have, sorted.
    """

    plan: str = ""
    groups: tuple[tuple[str, ...], ...] = ()
    unsupported: tuple[str, ...] = ()

    def learnt(
        self, reading: Reading, request: ReadRequest, answered: Sequence[ReadRequest], unsupported: Sequence[int]
    ) -> Findings:
        """With what became of one more request."""
        own = self if self.plan == reading.bound.digest.hex() else Findings(reading.bound.digest.hex())
        ids = [point.id for point in reading.bound.points]
        about = {ids[point] for point in request.points}
        groups = [group for group in own.groups if about.isdisjoint(group)]
        groups += [tuple(ids[point] for point in part.points) for part in answered]
        lost = {*own.unsupported} - about | {ids[point] for point in unsupported}
        return Findings(own.plan, tuple(sorted(groups)), tuple(sorted(lost)))

    def supported(self, point: str) -> Findings:
        """With a point whose registers answer after all."""
        return replace(
            self, groups=tuple(sorted({*self.groups, (point,)})),
            unsupported=tuple(one for one in self.unsupported if one != point),
        )


def read_findings(folder: Path) -> Findings:
    """What the file of a state folder says; nothing where there is none that can be read: it is found again."""
    try:
        held = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Findings(str(held["plan"]), tuple(map(tuple, held["groups"])), tuple(held["unsupported"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Findings()


def keep_findings(folder: Path, findings: Findings) -> None:
    """Replace the file; it is on the disk when this returns."""
    draft = folder / f".{FILE}.draft"
    held = {"plan": findings.plan, "groups": findings.groups, "unsupported": findings.unsupported}
    with draft.open("w", encoding="utf-8") as file:
        json.dump(held, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)


def refined(reading: Reading, findings: Findings) -> Reading:
    """The reading with its planned requests cut as the findings say; as it is where they are of another plan.

    Returns
    -------
    Reading
        Requests in the plan's order, the parts of one by address; ``unsupported`` are those that are not asked.
    """
    if findings.plan != reading.bound.digest.hex():
        return reading
    ids = [point.id for point in reading.bound.points]
    group_of = {point: number for number, group in enumerate(findings.groups) for point in group}
    lost = set(findings.unsupported)
    requests: list[ReadRequest] = []
    unsupported: set[int] = set()
    for request in reading.requests:
        columns: dict[str, list[int]] = {}
        for column, point in enumerate(request.points):
            name = ids[point]
            key = f"lost {name}" if name in lost else f"group {group_of[name]}" if name in group_of else "rest"
            columns.setdefault(key, []).append(column)
        parts = [(part_of(request, own) if len(columns) > 1 else request, key) for key, own in columns.items()]
        for part, key in sorted(parts, key=lambda one: one[0].address):
            if key.startswith("lost"):
                unsupported.add(len(requests))
            requests.append(part)
    return replace(reading, requests=tuple(requests), unsupported=frozenset(unsupported))
