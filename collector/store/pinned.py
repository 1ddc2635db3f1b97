"""What the digests that an inventory pins stand for in these books: plans and certificates."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from collector.inventory.model import Pinned
from collector.store.certificates import StoredCertificate, all_certificates
from collector.store.plans import PlanBook, site_of
from collector.store.schema import plans


@dataclass(frozen=True, slots=True)
class PinnedPlan:
    """A monitoring plan by its digest; ``version`` and ``site`` are empty where the books do not hold it."""

    digest: str
    version: str
    site: str
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """What an inventory rests on, as far as these books hold it."""

    plans: tuple[PinnedPlan, ...]
    certificates: tuple[StoredCertificate, ...]
    unknown_certificates: tuple[str, ...]


def read_basis(connection: Connection, book: PlanBook, pinned: Pinned) -> Basis:
    """Everything an inventory pins, looked up."""
    stored = {one.digest.hex(): one for one in all_certificates(connection)}
    return Basis(
        plans=tuple(_plan(connection, book, digest) for digest in pinned.plans),
        certificates=tuple(stored[digest] for digest in pinned.certificates if digest in stored),
        unknown_certificates=tuple(digest for digest in pinned.certificates if digest not in stored),
    )


def _plan(connection: Connection, book: PlanBook, digest: str) -> PinnedPlan:
    rows = connection.execute(
        select(plans.c.agent_id, plans.c.document).where(plans.c.digest == bytes.fromhex(digest)).order_by(plans.c.item)
    ).all()
    if not rows:
        return PinnedPlan(digest, "", "", ())
    plan = book.open(rows[0].document)
    return PinnedPlan(digest, plan.plan.version, site_of(plan), tuple(dict.fromkeys(row.agent_id for row in rows)))
