"""What is known of the instruments' calibration, as the hourly ledger and the inventory want it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from calibration.events import Event, from_certificate
from calibration.instruments import Chain, Instrument
from collector.hours.lives import Trust
from collector.store.calibration import all_records
from collector.store.certificates import all_certificates
from collector.store.schema import calibration_records


def trust_known(connection: Connection) -> Trust:
    """Every record of this snapshot, each with the size of the log from which on it is known."""
    records = [(one.record, one.known_from) for one in all_records(connection)]
    return Trust(
        [(from_certificate(one.certificate), one.leaf + 1) for one in all_certificates(connection)],
        [(one, known) for one, known in records if isinstance(one, Event)],
        [(one, known) for one, known in records if isinstance(one, Instrument)],
        [(one, known) for one, known in records if isinstance(one, Chain)],
    )


def record_digests(connection: Connection) -> tuple[str, ...]:
    """SHA-256 of every event, instrument and chain record, hex, sorted, each once."""
    return tuple(sorted({digest.hex() for digest in connection.scalars(select(calibration_records.c.digest))}))
