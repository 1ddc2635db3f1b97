"""A DCC as events: items matched to instruments by serial number, and what could not be matched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from calibration.dcc.reading import DigitalCertificate, Item, read_dcc
from calibration.errors import DccError
from calibration.events import Event, Point, What
from calibration.evidence import Document, Kind, Result
from calibration.instruments import Instrument
from calibration.intervals import Interval

_RESULTS = {"pass": Result.PASS, "fail": Result.FAIL, "conditionalFail": Result.FAIL}
"""Conformity statements that are a verdict; the others leave it to the points."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a DCC.

    Attributes
    ----------
    certificate : DigitalCertificate
    sha256 : str
        Of the raw bytes, which are the evidence.
    events : tuple of Event
        One per item that an instrument has the serial number of.
    unmatched : tuple of Item
        Items of no known instrument, for a person to look at.
    """

    certificate: DigitalCertificate
    sha256: str
    events: tuple[Event, ...]
    unmatched: tuple[Item, ...]


def import_dcc(data: bytes, instruments: Sequence[Instrument], *, examples: bool = False) -> Imported:
    """Read a DCC and make an event of each item that is one of the instruments.

    Parameters
    ----------
    data : bytes
    instruments : sequence of Instrument
        Matched by serial number as the manufacturer gives it, exactly.
    examples : bool
        As of ``read_dcc``.

    Raises
    ------
    DccError
        It cannot be read, or a serial number is that of several instruments.

    Notes
    -----
    Found before an adjustment is as found, the results are as left; without an adjustment the results are as found.
    A table that names no item is about every item of the certificate.
    """
    certificate = read_dcc(data, examples=examples)
    digest = hashlib.sha256(data).hexdigest()
    events, unmatched = [], []
    for item in certificate.items:
        own = [one for one in instruments if one.serial in item.serials]
        if len(own) > 1:
            raise DccError(
                f"certificate {certificate.id}", f"serial {own[0].serial!r} is that of {len(own)} instruments",
                "correct the register of instruments",
            )  # fmt: skip
        event = _event(certificate, item, own[0], digest) if own else None
        if event is None:
            unmatched.append(item)
        else:
            events.append(event)
    return Imported(certificate, digest, tuple(events), tuple(unmatched))


def _event(certificate: DigitalCertificate, item: Item, instrument: Instrument, digest: str) -> Event | None:
    """The calibration of one item; None where the certificate says nothing of how it did."""
    before, after = (_points(certificate, item, before=when) for when in (True, False))
    found, left = (before, after) if before else (after, ())
    result = _RESULTS.get(certificate.conformity)
    if result is None and not found and not left:
        return None
    months = certificate.recalibrate_after_months
    good = result is not Result.FAIL
    return Event(
        f"dcc-{digest[:16]}-{instrument.id}", instrument.id, instrument.serial, What.CALIBRATION,
        certificate.performed_on, result=result, valid_until=certificate.recalibrate_by if good else None,
        interval=Interval(months=months) if good and months else None, as_found=found, as_left=left,
        document=Document(
            Kind.CALIBRATION, certificate.id, certificate.laboratory, certificate.laboratory_code,
            ", ".join(certificate.methods), scope=certificate.scope, sha256=digest,
        ),
    )  # fmt: skip


def _points(certificate: DigitalCertificate, item: Item, *, before: bool) -> tuple[Point, ...]:
    known = {one.id for one in certificate.items if one.id}
    return tuple(
        point
        for table in certificate.tables
        if table.before is before and (item.id in table.items or not table.items & known)
        for point in table.points
    )
