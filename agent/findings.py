"""Which registers of the plan the devices turned out not to have, and how its requests are cut for that.

A request that a device refuses for an address (exception 2) is cut until each part is answered or holds a single
value; such a value is not supported. The parts are requests like any other, and each batch says how it was read, so
collector and verifier need not know of this. A value that is not supported keeps its slots, as exception 2.

The journal names requests by their position, so it can be read only by the findings it was written under: these are
kept in the outbox, in the transaction that starts a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocols.modbus.holes import part_of
from protocols.plan.bound import BoundPlan
from protocols.records import ReadRequest


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found under one plan.

    Attributes
    ----------
    plan : str
        Digest of its document, in hexadecimal digits; findings of another plan say nothing.
    groups : tuple of tuple of str
        Ids of the points that are read together, of every planned request that had to be cut.
    unsupported : tuple of (str, int)
        Ids of the points whose registers the device does not have, sorted, and when they were last refused. [UTC ms]
    """

    plan: str = ""
    groups: tuple[tuple[str, ...], ...] = ()
    unsupported: tuple[tuple[str, int], ...] = ()

    def learnt(
        self,
        bound: BoundPlan,
        request: ReadRequest,
        answered: Sequence[ReadRequest],
        unsupported: Sequence[int],
        at_ms: int,
    ) -> Findings:
        """With what became of one more request: its parts that are answered, and the points that were refused."""
        own = self if self.plan == bound.digest.hex() else Findings(bound.digest.hex())
        ids = [point.id for point in bound.points]
        about = {ids[point] for point in request.points}
        groups = [group for group in own.groups if about.isdisjoint(group)]
        groups += [tuple(ids[point] for point in part.points) for part in answered]
        lost = {point: refused_ms for point, refused_ms in own.unsupported if point not in about}
        lost |= {ids[point]: at_ms for point in unsupported}
        return Findings(own.plan, tuple(sorted(groups)), tuple(sorted(lost.items())))

    def text(self) -> str:
        """As the outbox keeps it."""
        return json.dumps({"plan": self.plan, "groups": self.groups, "unsupported": dict(self.unsupported)})


NOTHING = Findings()


def read_findings(text: str) -> Findings:
    """What the outbox keeps; nothing where there is none, as in an outbox of before."""
    if not text:
        return NOTHING
    held = json.loads(text)
    return Findings(held["plan"], tuple(map(tuple, held["groups"])), tuple(held["unsupported"].items()))


def cut_requests(
    bound: BoundPlan, planned: Sequence[ReadRequest], findings: Findings
) -> tuple[tuple[ReadRequest, ...], Mapping[int, int]]:
    """Planned requests cut as the findings say; as they are where these are of another plan.

    Returns
    -------
    tuple of (tuple of ReadRequest, mapping of int to int)
        Requests in the plan's order, the parts of one by address; which of them, by position, are not asked, and when
        they were last refused. [UTC ms]
    """
    if findings.plan != bound.digest.hex():
        return tuple(planned), {}
    ids = [point.id for point in bound.points]
    group_of = {point: number for number, group in enumerate(findings.groups) for point in group}
    lost = dict(findings.unsupported)
    requests: list[ReadRequest] = []
    unsupported: dict[int, int] = {}
    for request in planned:
        columns: dict[str, list[int]] = {}
        for column, point in enumerate(request.points):
            name = ids[point]
            key = f"lost {name}" if name in lost else f"group {group_of[name]}" if name in group_of else "rest"
            columns.setdefault(key, []).append(column)
        parts = [part_of(request, own) if len(columns) > 1 else request for own in columns.values()]
        for part in sorted(parts, key=lambda one: one.address):
            if ids[part.points[0]] in lost:
                unsupported[len(requests)] = lost[ids[part.points[0]]]
            requests.append(part)
    return tuple(requests), unsupported
