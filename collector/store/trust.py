"""What is known of the instruments' calibration, as the hourly ledger and the inventory want it."""

from __future__ import annotations

from collections.abc import Collection
from threading import Lock

from sqlalchemy import Connection, Select, func, select

from calibration.certificates import decode_certificate
from calibration.encoding import read_record
from calibration.events import Event, Known, from_certificate
from calibration.instruments import Chain, Instrument
from collector.hours.lives import Lives, Trust
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


class TrustBook:
    """Records read once for the life of a process, and statuses worked out once for a size of the log.

    For snapshots of what is committed only: what a write transaction has entered may be rolled back.
    """

    KEPT = 8
    """So many sizes are kept."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._read = 0  # records known from a size up to this one are in the lists
        self._certificates: list[Known] = []
        self._events: list[Known] = []
        self._instruments: list[tuple[Instrument, int]] = []
        self._chains: list[tuple[Chain, int]] = []
        self._lives: dict[int, Lives] = {}

    def lives(self, connection: Connection, as_known_at: int | None = None) -> Lives:
        """Every instrument's and chain's statuses as known at a size of the log; None: as this snapshot knows."""
        newest = max(
            connection.scalar(select(func.max(table.c.leaf))) or 0 for table in (calibration_records, certificates)
        )
        size = newest + 1 if as_known_at is None else min(as_known_at, newest + 1)
        with self._lock:
            if newest >= self._read:
                self._read_on(connection)
                self._read = newest + 1
            if size not in self._lives:
                while len(self._lives) >= self.KEPT:
                    self._lives.pop(next(iter(self._lives)))
                trust = Trust(self._certificates, self._events, self._instruments, self._chains)
                self._lives[size] = Lives(trust, size)
            return self._lives[size]

    def _read_on(self, connection: Connection) -> None:
        self._certificates += _certificates(connection, None, self._read)
        for one, known in _records(connection, "calibration-event", None, self._read):
            if isinstance(one, Event):
                self._events.append((one, known))
        for one, known in _records(connection, "instrument", None, self._read):
            if isinstance(one, Instrument):
                self._instruments.append((one, known))
        for one, known in _records(connection, "chain", None, self._read):
            if isinstance(one, Chain):
                self._chains.append((one, known))


def _records(
    connection: Connection, kind: str, names: Collection[str] | None, from_leaf: int = 0
) -> list[tuple[Event | Instrument | Chain, int]]:
    rows = calibration_records.c
    query: Select[tuple[bytes, int]] = select(rows.bytes, rows.leaf).where(rows.kind == kind, rows.leaf >= from_leaf)
    if names is not None:
        query = query.where(rows.about.in_(sorted(names)))
    return [(read_record(row.bytes), row.leaf + 1) for row in connection.execute(query.order_by(rows.leaf))]


def _certificates(connection: Connection, names: Collection[str] | None, from_leaf: int = 0) -> list[Known]:
    rows = certificates.c
    query = select(rows.bytes, rows.leaf).where(rows.leaf >= from_leaf)
    if names is not None:
        query = query.where(rows.instrument.in_(sorted(names)))
    found = connection.execute(query.order_by(rows.leaf))
    return [(from_certificate(decode_certificate(row.bytes)), row.leaf + 1) for row in found]
