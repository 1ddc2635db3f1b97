"""How every instrument stands at an instant, and which of them somebody has to look after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from calibration.days import day_of
from calibration.due import Bucket, bucket_of
from calibration.instruments import Instrument
from calibration.status import Status
from collector.hours.lives import Lives
from collector.store.plans import PlanBook, newest_plans, site_of, site_zone
from collector.store.trust import TrustBook


@dataclass(frozen=True, slots=True)
class Standing:
    """One instrument at an instant.

    Attributes
    ----------
    instrument : Instrument
    site : str
        ORGANISATION/FACILITY of the newest plan that names it; empty where none does.
    zone : str
        IANA name of the facility's zone.
    status : Status
    last_day : date or None
        Last valid day, or the one that was; None where nothing was ever passed.
    days : int or None
        From the day asked for to the last valid day; negative when it is over.
    bucket : Bucket or None
        How soon somebody has to look after it; None where that is not so.
    """

    instrument: Instrument
    site: str
    zone: str
    status: Status
    last_day: date | None
    days: int | None
    bucket: Bucket | None


def standings(
    connection: Connection, book: PlanBook, trust: TrustBook, at_ms: int, as_known_at: int | None = None
) -> tuple[Standing, ...]:
    """Every instrument of the agents' newest plans, and every one entered, by site and id.

    Parameters
    ----------
    at_ms : int
        [UTC ms]
    as_known_at : int or None
        Size of the evidence log; None: all of this snapshot.
    """
    lives = trust.lives(connection, as_known_at)
    found: dict[tuple[str, str], Standing] = {}
    for plan in newest_plans(connection, book, as_known_at).values():
        site, zone = site_of(plan), plan.plan.facility.time_zone
        for planned in plan.plan.instruments:
            found[site, planned.id] = _standing(lives, lives.subject(planned), site, zone, at_ms)
    seen = {(one.instrument.id, one.instrument.serial) for one in found.values()}
    zone = site_zone(connection, book).key
    for instrument in lives.entered:
        if (instrument.id, instrument.serial) not in seen:
            found["", instrument.id] = _standing(lives, instrument, "", zone, at_ms)
    return tuple(found[key] for key in sorted(found))


def due(found: tuple[Standing, ...]) -> tuple[Standing, ...]:
    """Those that somebody has to look after, most urgent first."""
    order = {bucket: place for place, bucket in enumerate(Bucket)}

    def keys() -> Iterator[tuple[int, date, str, str, Standing]]:
        for one in found:
            if one.bucket is not None:
                yield order[one.bucket], one.last_day or date.min, one.site, one.instrument.id, one

    return tuple(one for *_, one in sorted(keys(), key=lambda key: key[:4]))


@lru_cache(maxsize=64)
def _today(at_ms: int, zone: str) -> tuple[date, ZoneInfo]:
    at = ZoneInfo(zone)
    return day_of(at_ms, at), at


def _standing(lives: Lives, instrument: Instrument, site: str, zone: str, at_ms: int) -> Standing:
    life, (today, at) = lives.of(instrument, zone), _today(at_ms, zone)
    status, until_ms = life.at(at_ms), life.valid_until(at_ms)
    last = None if until_ms is None else day_of(until_ms - 1, at)
    days = None if last is None else (last - today).days
    return Standing(instrument, site, zone, status, last, days, bucket_of(status.state, days))
