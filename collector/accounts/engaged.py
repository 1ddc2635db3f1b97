"""What an account may see at a moment: a verifier what its open engagement covers, everybody else everything."""

from __future__ import annotations

from sqlalchemy import Connection, select

from collector.accounts.reach import EVERYTHING, NOTHING, Reach
from collector.accounts.roles import Role
from collector.store.engagements import Engagement, all_engagements
from collector.store.schema import plans


def reach_of(connection: Connection, user: str, role: Role, at_ms: int) -> Reach | None:
    """The part of the books an account may see; None where every engagement that names it is over."""
    if role is not Role.VERIFIER:
        return EVERYTHING
    naming = [one for one in all_engagements(connection) if user in one.terms.accounts]
    if not naming:
        return NOTHING
    found = next((one for one in naming if one.is_open(at_ms)), None)
    return None if found is None else covered_by(connection, found)


def covered_by(connection: Connection, engagement: Engagement) -> Reach:
    """The part of the books an engagement covers.

    An agent that has served a facility outside as well is left out: its evidence cannot be divided by facility.
    """
    terms = engagement.terms
    sites = frozenset(terms.sites)
    served: dict[str, set[str]] = {}
    for row in connection.execute(select(plans.c.agent_id, plans.c.site).distinct()):
        served.setdefault(row.agent_id, set()).add(row.site)
    agents = frozenset(agent for agent, own in served.items() if own <= sites)
    return Reach(engagement.number, sites, agents, terms.from_ms, terms.to_ms)
