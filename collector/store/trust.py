"""What is known of the instruments' calibration, as the hourly ledger and the inventory want it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Select, select

from calibration.certificates import decode_certificate
from calibration.encoding import decode_record
from calibration.events import Event, Known, from_certificate
from calibration.instruments import Chain, Instrument
from collector.hours.lives import Trust
from collector.store.schema import calibration_records, certificates


def trust_known(connection: Connection, names: Collection[str] | None = None) -> Trust:
    """Every record of this snapshot, each with the size of the log from which on it is known.

    Where instruments are named, what bears on them: their own records, their chains and those of the other members.
    """
    chains = [(one, known) for one, known in _records(connection, "chain", None) if isinstance(one, Chain)]
    if names is not None:
        theirs = {chain.id for chain, _ in chains if any(member.instrument in names for member in chain.members)}
        chains = [one for one in chains if one[0].id in theirs]
        names = {*names, *(member.instrument for chain, _ in chains for member in chain.members)}
    events = _records(connection, "calibration-event", names)
    instruments = _records(connection, "instrument", names)
    return Trust(
        _certificates(connection, names),
        [(one, known) for one, known in events if isinstance(one, Event)],
        [(one, known) for one, known in instruments if isinstance(one, Instrument)],
        chains,
    )


def record_digests(connection: Connection) -> tuple[str, ...]:
    """SHA-256 of every event, instrument and chain record, hex, sorted, each once."""
    return tuple(sorted({digest.hex() for digest in connection.scalars(select(calibration_records.c.digest))}))


def _records(
    connection: Connection, kind: str, names: Collection[str] | None
) -> list[tuple[Event | Instrument | Chain, int]]:
    rows = calibration_records.c
    query: Select[tuple[bytes, int]] = select(rows.bytes, rows.leaf).where(rows.kind == kind)
    if names is not None:
        query = query.where(rows.about.in_(sorted(names)))
    return [(decode_record(row.bytes), row.leaf + 1) for row in connection.execute(query.order_by(rows.leaf))]


def _certificates(connection: Connection, names: Collection[str] | None) -> list[Known]:
    rows = certificates.c
    query = select(rows.bytes, rows.leaf)
    if names is not None:
        query = query.where(rows.instrument.in_(sorted(names)))
    found = connection.execute(query.order_by(rows.leaf))
    return [(from_certificate(decode_certificate(row.bytes)), row.leaf + 1) for row in found]
