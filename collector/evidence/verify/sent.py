"""Plans an agent sent: the order and the whole of the log, and the agent's own signature under each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from collector.evidence.container import Container
from collector.evidence.layout import SENT, Leaf, Manifest, item_leaf_id, sent_name
from collector.evidence.verify.documents import REFUSALS
from collector.evidence.verify.log import Log
from collector.evidence.verify.report import Report, Step
from protocols.keyring import Keyring
from protocols.plan.document import document_digest
from protocols.records import PlanItem
from protocols.wire.codec import item_digest
from protocols.wire.cose import open_sealed
from protocols.wire.limits import MESSAGE_BYTES

Sent = set[tuple[str, bytes]]
"""(agent, plan digest) that an item of the agent names under its signature."""


def read_sent(container: Container, rings: Mapping[str, Keyring], log: Log, report: Report) -> Sent:
    """The plan items that stand outside the streams' members, each signed by its agent and logged."""
    sent: Sent = set()
    for name in (name for name in container.members if name.startswith(SENT)):
        agent = name.removeprefix(SENT).partition("/")[0]
        ring = rings.get(agent)
        if ring is None:
            report.find(Step.SIGNATURE, name, "the agent's key is not in the bundle")
            continue
        try:
            data = container.content(name, MESSAGE_BYTES)
            item = ring.read(data)
        except REFUSALS as error:
            report.find(Step.ITEM, name, error)
            continue
        report.signed_by(agent, "agent")
        if not isinstance(item, PlanItem) or name != sent_name(agent, document_digest(item.document)):
            report.find(Step.ITEM, name, "is not the plan item its name says")
            continue
        position = log.position(Leaf("item", item_leaf_id(agent, item.stream_id, item.sequence), item_digest(data)))
        if position is None:
            report.find(Step.LOG, name, "is not in the evidence log")
        elif fault := ring.fault(open_sealed(data).kid, item.stream_id, item.sequence, position):
            report.find(Step.SIGNATURE, name, fault)
        sent.add((agent, document_digest(item.document)))
    return sent


def check_plans(manifest: Manifest, log: Log, sent: Sent, report: Report) -> None:
    """The manifest names exactly the plans logged, in an order the log allows, each signed by its agent.

    The newest plan that names a source states its facts, so a plan invented, left out or put elsewhere in
    the order would change the inventory.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for position, logged in log.documents["plan"]:
        places[logged].append(position)
    reached: dict[str, int] = defaultdict(lambda: -1)
    for agent, digest in manifest.plans:
        where = f"plan {digest.hex()} of agent {agent}"
        if (agent, digest) not in sent:
            report.find(Step.DOCUMENT, where, "no item the agent signed names it")
        free = [position for position in places[digest.hex()] if position > reached[agent]]
        if not free:
            report.find(Step.LOG, where, "the manifest names it more often or later than the evidence log")
            continue
        reached[agent] = free[0]
        places[digest.hex()].remove(free[0])
    for logged, left in places.items():
        for position in left:
            if not report.scope.is_whole:
                report.leave_out("plans")
                continue
            report.find(Step.LOG, f"plan {logged}", f"is leaf {position} of the log, the manifest does not name it")
