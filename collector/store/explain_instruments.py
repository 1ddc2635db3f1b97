"""The instruments behind an hour, what they and the other members of their chains were then, and what decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from calibration.certificates import Certificate
from calibration.encoding import decode_record
from calibration.events import Event, from_certificate
from calibration.instruments import Member
from calibration.status import Interval
from collector.hours.calendar import Span
from collector.hours.lives import Lives
from collector.hours.sources import instruments_behind
from collector.store.certificates import all_certificates
from collector.store.schema import calibration_records
from collector.store.trust import trust_known
from protocols.plan.bound import BoundPlan
from protocols.plan.model import Instrument


@dataclass(frozen=True, slots=True)
class Deciding:
    """The record that decides a status: an event, ``certificate`` where it was entered as one.

    It is known since ``known_ms`` [UTC ms], from tree size ``known_from`` on.
    """

    event: Event
    certificate: Certificate | None
    known_ms: int
    known_from: int


@dataclass(frozen=True, slots=True)
class MemberBehind:
    """Another member of a chain that an instrument belongs to, in its place some time of the hour."""

    part: str
    instrument: str
    stretches: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class InstrumentBehind:
    """An instrument, its points, what it was over the hour, and the record that decides at the hour's start."""

    instrument: Instrument
    points: tuple[str, ...]
    stretches: tuple[Interval, ...]
    deciding: Deciding | None
    members: tuple[MemberBehind, ...]


def instruments_of_hour(
    connection: Connection, plan: BoundPlan, points: Sequence[int], cell: Span
) -> tuple[InstrumentBehind, ...]:
    """Every instrument that carries one of the points, by their places in the plan, over a cell. [UTC ms]"""
    lives = Lives(trust_known(connection, [one.id for one in plan.plan.instruments]))
    found = []
    for name in instruments_behind(plan, points):
        at, instrument = next((n, one) for n, one in enumerate(plan.plan.instruments) if one.id == name)
        life = lives.of_planned(instrument, plan.plan.facility.time_zone)
        members = tuple(
            MemberBehind(member.part.value, member.instrument, tuple(own.between(*_in_place(member, cell))))
            for member, own in lives.members(plan, instrument)
        )
        found.append(
            InstrumentBehind(
                instrument, tuple(plan.points[point].id for point in points if plan.points[point].instrument == at),
                tuple(life.between(*cell)), _deciding(connection, life.at(cell[0]).cause),
                tuple(one for one in members if one.stretches),
            )
        )  # fmt: skip
    return tuple(found)


def _in_place(member: Member, cell: Span) -> Span:
    """The part of a cell during which a member is in its place; it ends before it begins where there is none."""
    begin, end = cell
    return (
        begin if member.from_ms is None else max(begin, member.from_ms),
        end if member.to_ms is None else min(end, member.to_ms),
    )


def _deciding(connection: Connection, cause: str) -> Deciding | None:
    for one in all_certificates(connection) if cause else ():
        if one.certificate.id == cause:
            return Deciding(from_certificate(one.certificate), one.certificate, one.known_ms, one.leaf + 1)
    rows = calibration_records.c
    query = select(calibration_records).where(rows.kind == "calibration-event", rows.id == cause)
    row = connection.execute(query).first()
    event = None if row is None else decode_record(row.bytes)
    if row is None or not isinstance(event, Event):
        return None
    return Deciding(event, None, row.known_ms, row.leaf + 1)
