"""Plans that the central team has pushed, each until its agent goes on with it, refuses it, or has another one.

What settles a push is the agent's signed stream alone: its plan item, or its event that says why not.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from collector.store.agents import Agent
from collector.store.audit import record
from collector.store.plans import PlanBook, site_of
from collector.store.schema import items, pushes, streams
from protocols.errors import EmitraceError
from protocols.messages import PlanPush
from protocols.plan.bound import BoundPlan
from protocols.plan.document import document_digest
from protocols.records import Batch, EventKind

WAITING, IN_FORCE, REFUSED, OVERTAKEN = "waiting", "in force", "refused", "overtaken"


@dataclass(frozen=True, slots=True)
class Push:
    """A push and what has become of it; ``detail`` is the agent's reason where it refused."""

    agent_id: str
    digest: bytes
    version: str
    pushed_ms: int
    state: str
    settled_ms: int | None
    detail: str


def plan_in_force(connection: Connection, book: PlanBook, agent_id: str) -> BoundPlan | None:
    """The plan of an agent's newest item that is in the books; None before its first."""
    digest = connection.scalar(
        select(items.c.plan)
        .where(items.c.agent_id == agent_id, items.c.state == "placed", items.c.plan.is_not(None))
        .order_by(items.c.id.desc())
        .limit(1)
    )
    return None if digest is None else book.of(connection, agent_id, digest)


def add_push(connection: Connection, book: PlanBook, agent: Agent, document: bytes, at_ms: int) -> BoundPlan:
    """Ask for an agent to go on with a plan; the plan it is to follow.

    Raises
    ------
    EmitraceError
        The agent has sent nothing yet, has this plan already, or measures another site.
    """
    new, digest, subject = book.open(document), document_digest(document), f"agent {agent.name}"
    old = plan_in_force(connection, book, agent.agent_id)
    if old is None:
        hint = "its first plan comes from its own plan.toml"
        raise EmitraceError(subject, "no batch of it has come in yet", hint)
    if old.digest == digest:
        raise EmitraceError(subject, f"plan {digest.hex()[:12]} is in force there already")
    if site_of(old) != site_of(new):
        hint = "push the plan of its own site"
        raise EmitraceError(subject, f"it measures {site_of(old)}, the plan is of {site_of(new)}", hint)
    _settle(connection, agent.agent_id, OVERTAKEN, at_ms, "another plan was pushed after it")
    connection.execute(
        insert(pushes).values(
            agent_id=agent.agent_id, digest=digest, replaces=old.digest, version=new.plan.version, document=document,
            pushed_ms=at_ms, state=WAITING, detail="",
        )
    )
    record(connection, "plan-pushed", agent.agent_id, at_ms, detail=f"{agent.name}: {new.plan.version}")
    return old


def waiting_pushes(connection: Connection) -> dict[str, PlanPush]:
    """What is to be sent, by agent, meant for the newest stream of each."""
    newest = {row.agent_id: row.stream_id for row in connection.execute(select(streams).order_by(streams.c.first_ms))}
    rows = connection.execute(select(pushes).where(pushes.c.state == WAITING))
    return {
        row.agent_id: PlanPush(newest[row.agent_id], row.replaces, row.document)
        for row in rows
        if row.agent_id in newest
    }


def settle_by_plan(connection: Connection, agent_id: str, digest: bytes, at_ms: int) -> None:
    """A plan has taken its place in an agent's stream."""
    _settle(connection, agent_id, IN_FORCE, at_ms, "", digest)
    _settle(connection, agent_id, OVERTAKEN, at_ms, f"the agent goes by plan {digest.hex()[:12]}")


def settle_by_events(connection: Connection, agent_id: str, batch: Batch, at_ms: int) -> None:
    """A batch may say that the agent refused a plan, and why."""
    for event in batch.events:
        if event.kind is EventKind.PLAN_REFUSED:
            details = dict(event.details)
            digest = details.get("plan")
            if isinstance(digest, bytes):
                _settle(connection, agent_id, REFUSED, at_ms, str(details.get("reason", "")), digest)


def all_pushes(connection: Connection) -> tuple[Push, ...]:
    """Every push, newest first."""
    rows = connection.execute(select(pushes).order_by(pushes.c.id.desc()))
    return tuple(
        Push(row.agent_id, row.digest, row.version, row.pushed_ms, row.state, row.settled_ms, row.detail)
        for row in rows
    )


def _settle(
    connection: Connection, agent_id: str, state: str, at_ms: int, detail: str, digest: bytes | None = None
) -> None:
    chosen = [pushes.c.agent_id == agent_id, pushes.c.state == WAITING]
    if digest is not None:
        chosen.append(pushes.c.digest == digest)
    connection.execute(update(pushes).where(*chosen).values(state=state, settled_ms=at_ms, detail=detail))
