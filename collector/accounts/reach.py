"""How far a session sees: everything, or the facilities and the period of one engagement; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from protocols.errors import EmitraceError


class Limit(Enum):
    """What a route does about a session that sees only a part of the books."""

    REFUSED = "refused"
    """Nothing: such a session is refused. This holds for every route that says nothing else."""
    APPLIED = "applied"
    """It shows what the reach holds and refuses the rest itself."""
    NEEDLESS = "needless"
    """It shows nothing of any facility: one's own account, hashes of the log."""


class OutsideError(EmitraceError):
    """Somebody asks for what their engagement does not cover."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a session may see.

    Attributes
    ----------
    engagement : int or None
        Its engagement; None where it has none.
    sites : frozenset of str or None
        ORGANISATION/FACILITY; None: all of them, and no limit of time either.
    agents : frozenset of str
        The agents that have only ever served these facilities.
    from_ms, to_ms : int
        The period [from, to). [UTC ms]
    """

    engagement: int | None = None
    sites: frozenset[str] | None = None
    agents: frozenset[str] = frozenset()
    from_ms: int = 0
    to_ms: int = 0

    @property
    def is_limited(self) -> bool:
        """Whether it is less than everything."""
        return self.sites is not None

    def is_for(self, engagement: int) -> bool:
        """Whether what belongs to an engagement is inside."""
        return self.sites is None or engagement == self.engagement

    def has_site(self, site: str) -> bool:
        """Whether a facility is inside."""
        return self.sites is None or site in self.sites

    def has_agent(self, agent: str) -> bool:
        """Whether all of an agent is inside."""
        return self.sites is None or agent in self.agents

    def covers(self, from_ms: int, to_ms: int) -> bool:
        """Whether a period [from, to) is inside. [UTC ms]"""
        return self.sites is None or self.from_ms <= from_ms < to_ms <= self.to_ms

    def touches(self, from_ms: int | None, to_ms: int | None) -> bool:
        """Whether [from, to) has a part inside; what has no time belongs to all times. [UTC ms]"""
        return self.sites is None or from_ms is None or to_ms is None or (from_ms < self.to_ms and to_ms > self.from_ms)

    def need_agent(self, agent: str) -> None:
        """Refuse an agent that is outside: OutsideError."""
        if not self.has_agent(agent):
            raise self._outside(f"agent {agent[:12]}")

    def need(self, agent: str, from_ms: int, to_ms: int) -> None:
        """Refuse a figure that is not inside as a whole: OutsideError. [UTC ms]"""
        self.need_agent(agent)
        self.need_period(from_ms, to_ms)

    def need_period(self, from_ms: int, to_ms: int) -> None:
        """Refuse a period [from, to) that is not inside as a whole: OutsideError. [UTC ms]"""
        if not self.covers(from_ms, to_ms):
            raise self._outside(f"period {from_ms} to {to_ms}")

    def clip(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """The part of [from, to) that is inside; OutsideError where there is none. [UTC ms]"""
        if self.sites is None:
            return from_ms, to_ms
        inside = max(from_ms, self.from_ms), min(to_ms, self.to_ms)
        if inside[1] <= inside[0]:
            raise self._outside(f"period {from_ms} to {to_ms}")
        return inside

    def _outside(self, what: str) -> OutsideError:
        if self.engagement is None:
            return OutsideError(what, "the account belongs to no engagement", "Ask the central team to name it in one.")
        hint = f"It covers {', '.join(sorted(self.sites or ()))} in {self.from_ms} to {self.to_ms}."
        return OutsideError(what, f"is outside engagement {self.engagement}", hint)


EVERYTHING = Reach()
NOTHING = Reach(sites=frozenset())
"""Of a verifier's account that no engagement names."""
