"""The newest checkpoint of the collector's log that this agent has checked, and what spoke against it.

In the outbox's own file, so that it stands or falls with the stream. What was seen when an alarm was raised stays:
the checkpoint held and the one that does not follow from it, both signed by the log, are the proof of a rewrite.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlite_utils import Database

from protocols.transparency.checkpoint import Checkpoint, read_checkpoint
from protocols.wire import cbor

ALARMS = 100
"""So many alarms are kept, each once; of more, the first ones."""


@dataclass(frozen=True, slots=True)
class Held:
    """A checkpoint that was checked, the raw public key that signed it, and when. [UTC ms]"""

    key: bytes
    note: bytes
    checked_ms: int

    @property
    def head(self) -> Checkpoint:
        """Origin, size and root."""
        return read_checkpoint(self.note)


@dataclass(frozen=True, slots=True)
class Alarm:
    """What did not follow from the checkpoint held, and why; ``proof`` is the consistency proof that came along."""

    at_ms: int
    reason: str
    held: bytes
    seen: bytes
    key: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Renamed:
    """The log went on under a new origin: what was held, the first checkpoint then, and the record that proves it.

    ``unproven`` of the leaves held are admitted to be lost.
    """

    at_ms: int
    unproven: int
    held: bytes
    seen: bytes
    record: bytes


class HeldLog:
    """The three tables of it; calls belong to the outbox's thread."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def held(self) -> Held | None:
        """The newest checkpoint that was checked; None where none came yet."""
        row = self._db.execute("select key, note, checked_ms from held_checkpoint").fetchone()
        return None if row is None else Held(bytes(row[0]), bytes(row[1]), row[2])

    def keep(self, held: Held) -> None:
        """Hold a checkpoint from now on."""
        row = {"id": 1, "key": held.key, "note": held.note, "checked_ms": held.checked_ms}
        with self._db.atomic():
            self._db.table("held_checkpoint").insert(row, pk="id", replace=True)

    def go_on(self, held: Held, change: Renamed) -> None:
        """Hold the first checkpoint under a new origin from now on, and keep what it went on from."""
        with self._db.atomic():
            self.keep(held)
            self._db.table("log_successions").insert(
                {"at_ms": change.at_ms, "unproven": change.unproven, "held": change.held, "seen": change.seen,
                 "record": change.record}
            )  # fmt: skip

    def changes(self) -> list[Renamed]:
        """Every change of origin, oldest first."""
        query = "select at_ms, unproven, held, seen, record from log_successions order by id"
        return [Renamed(*row) for row in self._db.execute(query).fetchall()]

    def raise_alarm(self, alarm: Alarm) -> bool:
        """Keep what was seen; False where it is known or there are too many."""
        same = "select 1 from log_alarms where reason = ? and held = ? and seen = ?"
        if self._db.execute(same, [alarm.reason, alarm.held, alarm.seen]).fetchone():
            return False
        if self._db.execute("select count(*) from log_alarms").fetchone()[0] >= ALARMS:
            return False
        with self._db.atomic():
            self._db.table("log_alarms").insert(
                {"at_ms": alarm.at_ms, "reason": alarm.reason, "held": alarm.held, "seen": alarm.seen,
                 "key": alarm.key, "proof": cbor.encode(list(alarm.proof))}
            )  # fmt: skip
        return True

    def alarms(self) -> list[Alarm]:
        """Every alarm, oldest first."""
        rows = self._db.execute("select at_ms, reason, held, seen, key, proof from log_alarms order by id").fetchall()
        return [
            Alarm(at_ms, reason, held, seen, key, read_proof(proof)) for at_ms, reason, held, seen, key, proof in rows
        ]


def read_proof(data: bytes) -> tuple[bytes, ...]:
    """The hashes of a proof as it is kept."""
    hashes = cbor.decode(data)
    return tuple(hashes) if isinstance(hashes, list) else ()
