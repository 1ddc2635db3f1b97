"""Which keys the agents of a bundle had, one after the other: each change signed by the key before, and logged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from collector.evidence.container import Container
from collector.evidence.layout import CHANGES, Leaf, change_name, item_leaf_id
from collector.evidence.verify.documents import REFUSALS
from collector.evidence.verify.log import Log
from collector.evidence.verify.report import Report, Step
from protocols.key_change import KeyChange
from protocols.keyring import Keyring, Replacement
from protocols.wire.codec import item_digest, read_item
from protocols.wire.cose import key_id, open_sealed
from protocols.wire.limits import MESSAGE_BYTES

Rings = dict[str, Keyring]
"""Agent id -> its keys."""


def read_rings(container: Container, keys: Mapping[str, bytes], log: Log, report: Report) -> Rings:
    """The ring of every agent whose first key is here; a change that does not fit is a finding and is left out."""
    rings = {
        role.removeprefix("agent-"): Keyring(public) for role, public in keys.items() if role.startswith("agent-")
    }
    given: dict[str, dict[bytes, tuple[str, bytes]]] = defaultdict(dict)
    for name in (name for name in container.members if name.startswith(CHANGES)):
        try:
            data = container.content(name, MESSAGE_BYTES)
            signer = open_sealed(data).kid
        except REFUSALS as error:
            report.find(Step.ITEM, name, error)
            continue
        agent = name.removeprefix(CHANGES).partition("/")[0]
        if agent not in rings or signer in given[agent]:
            seen = "its agent's first key is not in the bundle, or one key was replaced twice"
            report.find(Step.SIGNATURE, name, seen)
            continue
        given[agent][signer] = (name, data)
    for agent, left in given.items():
        ring = rings[agent]
        while (found := left.pop(key_id(ring.newest), None)) is not None:
            one = _replacement(agent, ring, *found, log, report)
            if one is None:
                break
            ring = ring.with_replacement(one)
            report.note(
                f"agent {agent}: key {key_id(one.public_key).hex()} signs from item {one.sequence + 1} of stream"
                f" {one.stream_id.hex()} on, in the place of the one before; so it says itself, at leaf {one.position}"
            )
        for name, _ in left.values():
            report.find(Step.SIGNATURE, name, "no key of the agent signed it")
        rings[agent] = ring
    return rings


def _replacement(
    agent: str, ring: Keyring, name: str, data: bytes, log: Log, report: Report
) -> Replacement | None:
    try:
        change = read_item(data, ring.newest)
    except REFUSALS as error:
        report.find(Step.ITEM, name, error)
        return None
    if not isinstance(change, KeyChange) or name != change_name(agent, change.public_key):
        report.find(Step.ITEM, name, "is not the key change its name says")
        return None
    position = log.position(Leaf("item", item_leaf_id(agent, change.stream_id, change.sequence), item_digest(data)))
    fault = "" if position is None else ring.fault(key_id(ring.newest), change.stream_id, change.sequence, position)
    if position is None or fault or ring.key(key_id(change.public_key)) is not None:
        report.find(Step.LOG, name, fault or "is not in the evidence log, or takes on a key that the agent had")
        return None
    return Replacement(change.stream_id, change.sequence, change.public_key, position)
