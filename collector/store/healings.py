"""Whether these books are being healed, and the refusal of what must wait until they are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from collector.store.schema import healings
from protocols.errors import EmitraceError


class HealingError(EmitraceError):
    """What these books cannot vouch for while they are behind what was signed or acknowledged."""


@dataclass(frozen=True, slots=True)
class Healing:
    """One that goes on: opened when [UTC ms] and by what, at how many leaves of the log.

    ``head_known``: whether it is known what was signed last.
    """

    id: int
    opened_ms: int
    cause: str
    kept: int
    head_known: bool


def current_healing(connection: Connection) -> Healing | None:
    """The healing that goes on; None where the books are whole."""
    row = connection.execute(
        select(healings).where(healings.c.ended_ms.is_(None)).order_by(healings.c.id.desc()).limit(1)
    ).first()
    return None if row is None else Healing(row.id, row.opened_ms, row.cause, row.kept, row.head_known)


def refuse_while_healing(connection: Connection, subject: str) -> None:
    """HealingError where the books are being healed."""
    if current_healing(connection) is not None:
        raise HealingError(
            subject, "these books are behind what was signed or acknowledged before, and are being healed",
            "Wait until agents have sent again what is missing; emitrace-collector healing show says what that is, and "
            "accept-loss writes down as lost what nobody holds any more.",
        )  # fmt: skip
