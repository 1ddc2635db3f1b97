"""Any period of the ledger by hour, day, month or year: what every page, chart and table of figures reads."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from collector.hours.calendar import By, Span, buckets
from collector.hours.sums import Counts, HourSum, add_up
from collector.inventory.uncertainty import parts_of
from collector.store.days import Wanted, read_sums
from collector.store.schema import hours, plans
from protocols.ghg.uncertainty import Parts


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One source and gas over one bucket of a period; buckets of which nothing is known have no row.

    Attributes
    ----------
    from_ms, to_ms : int
        The bucket; ``total`` is what of it is known. [UTC ms]
    """

    from_ms: int
    to_ms: int
    total: HourSum

    @property
    def agent(self) -> str:
        """The agent's id."""
        return self.total.agent

    @property
    def source(self) -> str:
        """The source's id."""
        return self.total.source

    @property
    def gas(self) -> str:
        """The gas."""
        return self.total.gas

    @property
    def mass_mg(self) -> int:
        """Mass. [mg]"""
        return self.total.mass_mg

    @property
    def added_mg(self) -> int:
        """The part of the mass added for operating time without valid data. [mg]"""
        return self.total.added_mg

    @property
    def activity(self) -> int:
        """Signed activity. [base unit of the inputs]"""
        return self.total.activity

    @property
    def operating_ms(self) -> int:
        """Operating time known. [ms]"""
        return self.total.operating_ms

    @property
    def measured_ms(self) -> int:
        """Measured operating time. [ms]"""
        return self.total.measured_ms

    @property
    def stopped_ms(self) -> int:
        """Time stopped by evidence. [ms]"""
        return self.total.stopped_ms

    @property
    def covered_ms(self) -> int:
        """Time of which the mass is known, measured or stopped; the rest of the bucket is unknown, never zero. [ms]"""
        return self.total.measured_ms + self.total.stopped_ms

    @property
    def methods(self) -> Counts:
        """How many hour rows came about by each method."""
        return self.total.methods

    @property
    def status_mg(self) -> Counts:
        """Mass per calibration status, adding to ``mass_mg``. [mg]"""
        return self.total.status_mg

    @property
    def status_ms(self) -> Counts:
        """Measured and stopped time per calibration status. [ms]"""
        return self.total.status_ms

    @property
    def parts(self) -> Parts:
        """Parts of the standard uncertainty, to be joined over sources by ``protocols.ghg.uncertainty.across``. [mg]"""
        return parts_of(self.total)

    @property
    def u_mg(self) -> float:
        """Combined standard uncertainty of the mass, k = 1. [mg]"""
        return self.parts.standard


def read_series(
    connection: Connection, from_ms: int, to_ms: int, by: By, zone: ZoneInfo, *,
    site: str | None = None, agent: str | None = None, source: str | None = None, gas: str | None = None,
) -> list[SeriesRow]:  # fmt: skip
    """A period, cut by hour, day, month or year.

    Parameters
    ----------
    from_ms, to_ms : int
        The period; an hour row belongs to the bucket that holds its start. [UTC ms]
    by : By
        How finely.
    zone : ZoneInfo
        The facility's zone: its days, months and years end at its midnight.
    site, agent, source, gas : str or None
        Only rows of this site (ORGANISATION/FACILITY), agent, source or gas.

    Returns
    -------
    list of SeriesRow
        By bucket, agent, source and gas.
    """
    spans = buckets(from_ms, to_ms, by, zone)
    starts = [start for start, _ in spans]
    gathered: dict[tuple[int, str, str, str], list[HourSum]] = defaultdict(list)
    for one in read_sums(connection, spans, Wanted(agents_of(connection, site, agent), source, gas)):
        gathered[bisect_right(starts, one.from_ms) - 1, one.agent, one.source, one.gas].append(one)
    return [_row(spans[key[0]], gathered[key]) for key in sorted(gathered)]


def read_whole(connection: Connection, from_ms: int, to_ms: int) -> list[HourSum]:
    """Every hour row that starts in [from, to), added up as far as days and months allow, by time."""
    sums = read_sums(connection, ((from_ms, to_ms),), Wanted(agents_of(connection)))
    return sorted(sums, key=lambda one: (one.from_ms, one.agent, one.source, one.gas))


def read_extent(connection: Connection, site: str | None = None) -> Span | None:
    """Start of the first and end of the last hour row of a site, or of all; None where there is none. [UTC ms]"""
    first: list[int] = []
    last: list[int] = []
    for agent in agents_of(connection, site):
        own = select(hours.c.from_ms, hours.c.to_ms).where(hours.c.agent_id == agent).limit(1)
        row = connection.execute(own.order_by(hours.c.from_ms)).first()
        if row is not None:
            first.append(row.from_ms)
            last.append(connection.execute(own.order_by(hours.c.from_ms.desc())).one().to_ms)
    return (min(first), max(last)) if first else None


def agents_of(connection: Connection, site: str | None = None, agent: str | None = None) -> tuple[str, ...]:
    """Agents that have sent a plan, or one for this site; with ``agent`` only that one."""
    query = select(plans.c.agent_id).distinct().order_by(plans.c.agent_id)
    if site is not None:
        query = query.where(plans.c.site == site)
    if agent is not None:
        query = query.where(plans.c.agent_id == agent)
    return tuple(connection.scalars(query))


def _row(span: Span, sums: list[HourSum]) -> SeriesRow:
    return SeriesRow(*span, add_up(sorted(sums, key=lambda one: one.from_ms)) if len(sums) > 1 else sums[0])
