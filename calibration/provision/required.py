"""From a register of energy users to required meters, and how many of them there are.

Two rates stand side by side: the plain one counts every installed instrument, the strict one only those in their
interval. Rates compare in integers; nothing is rounded up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from calibration.errors import CalibrationError
from calibration.instruments import Level
from calibration.provision.tables import Edition
from calibration.status import VALID, State


@dataclass(frozen=True, slots=True)
class EnergyUser:
    """One flow of one kind of energy: into the organisation, into a unit of it, or into a piece of equipment.

    Attributes
    ----------
    id : str
    level : Level
    energy : str
        Id of the energy kind.
    secondary_unit : str
        To which unit of the organisation it belongs; empty at the level of the organisation.
    amount : Decimal or None
        Power or use in a year of a unit, rating of equipment, in the unit of the edition's threshold. None: not known,
        and then it counts as required.
    unit : str
    instruments : tuple of str
        Ids of the instruments that meter it.
    as_material : bool
        Used as a raw material: its accuracy follows the process.
    excused : str
        Why it need not be metered (auxiliary energy on main equipment, seasonal heating, metered with its unit);
        empty where it need. Stated by a person and shown.
    """

    id: str
    level: Level
    energy: str
    secondary_unit: str = ""
    amount: Decimal | None = None
    unit: str = ""
    instruments: tuple[str, ...] = ()
    as_material: bool = False
    excused: str = ""


class Need(Enum):
    """Whether a flow has to be metered."""

    REQUIRED = "required"
    BELOW = "below-threshold"
    EXCUSED = "excused"
    AMOUNT_UNKNOWN = "amount-unknown"


class Verdict(Enum):
    """What a rate shows."""

    MET = "met"
    NOT_MET = "not-met"
    NOT_APPLICABLE = "not-applicable"
    NO_REQUIREMENT = "no-requirement"
    NOT_EVALUATED = "not-evaluated"


def need(user: EnergyUser, edition: Edition) -> Need:
    """Whether a flow has to be metered; an unknown amount counts as required.

    Raises
    ------
    CalibrationError
        The energy kind is not in the edition, or the amount is in another unit than its threshold.
    """
    kind = edition.kind(user.energy)
    if user.excused:
        return Need.EXCUSED
    threshold = kind.threshold(user.level)
    if threshold is None:
        return Need.REQUIRED
    if user.amount is None:
        return Need.AMOUNT_UNKNOWN
    if user.unit != threshold.unit:
        raise CalibrationError(
            f"energy user {user.id}",
            f"an amount in {user.unit or 'no unit'}",
            f"give it in {threshold.unit}, as {edition.edition}",
        )
    return Need.REQUIRED if user.amount >= threshold.value else Need.BELOW


@dataclass(frozen=True, slots=True)
class Provision:
    """Provision at one level for one kind of energy.

    Attributes
    ----------
    level : Level
    energy : str
    required_percent : int or None
        As the edition asks. [%]
    needed, installed, valid : int
        Points that need an instrument, that have one, and that have one in its interval.
    without, not_valid : tuple of str
        Ids of the users behind the two differences.
    """

    level: Level
    energy: str
    required_percent: int | None
    needed: int
    installed: int
    valid: int
    without: tuple[str, ...]
    not_valid: tuple[str, ...]

    @property
    def plain(self) -> Verdict:
        """Verdict on every installed instrument."""
        return self._verdict(self.installed)

    @property
    def strict(self) -> Verdict:
        """Verdict on instruments in their interval only."""
        return self._verdict(self.valid)

    def _verdict(self, have: int) -> Verdict:
        if self.required_percent is None:
            return Verdict.NO_REQUIREMENT
        if not self.needed:
            return Verdict.NOT_APPLICABLE
        return Verdict.MET if 100 * have >= self.required_percent * self.needed else Verdict.NOT_MET


def provision(
    users: Iterable[EnergyUser], states: Mapping[str, State], edition: Edition
) -> tuple[Provision, ...] | Verdict:
    """Provision of every level and kind of energy there is, in the edition's order.

    Parameters
    ----------
    users : iterable of EnergyUser
    states : mapping of str to State
        Of every installed instrument, by id; one that is not there is not installed.
    edition : Edition

    Returns
    -------
    tuple of Provision, or Verdict.NOT_EVALUATED
        The latter for an edition whose tables are not entered.

    Raises
    ------
    CalibrationError
        As of ``need``, or a user stands there twice.
    """
    if not edition.entered:
        return Verdict.NOT_EVALUATED
    register = list(users)
    names = [user.id for user in register]
    if len(names) != len(set(names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise CalibrationError("energy users", f"{', '.join(twice)} twice", "give each flow an id of its own")
    groups: dict[tuple[Level, str], list[EnergyUser]] = {}
    for user in register:
        groups.setdefault((user.level, user.energy), [])
        if need(user, edition) in (Need.REQUIRED, Need.AMOUNT_UNKNOWN):
            groups[user.level, user.energy].append(user)
    found = []
    for kind in edition.kinds:
        for level in Level:
            if (level, kind.id) not in groups:
                continue
            wanted = groups[level, kind.id]
            installed = [user for user in wanted if any(name in states for name in user.instruments)]
            valid = [user for user in installed if any(states.get(name) in VALID for name in user.instruments)]
            found.append(
                Provision(
                    level, kind.id, kind.rate.at(level), len(wanted), len(installed), len(valid),
                    tuple(user.id for user in wanted if user not in installed),
                    tuple(user.id for user in installed if user not in valid),
                )
            )  # fmt: skip
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ProcessRequirement:
    """What a process emission needs measured, as the organisation has laid it down (clause 7.6, second dash).

    Attributes
    ----------
    id, zh, en : str
    instruments : tuple of str
        Ids of the instruments that serve it, all of which are needed.
    basis : str
        The procedure or method that asks for it.
    """

    id: str
    zh: str
    en: str
    instruments: tuple[str, ...]
    basis: str


def process_provision(requirement: ProcessRequirement, states: Mapping[str, State]) -> tuple[Verdict, Verdict]:
    """Plain and strict verdict on a process requirement: all its instruments installed, and all in their interval."""
    if not requirement.instruments:
        return Verdict.NOT_MET, Verdict.NOT_MET
    there = all(name in states for name in requirement.instruments)
    good = all(states.get(name) in VALID for name in requirement.instruments)
    return Verdict.MET if there else Verdict.NOT_MET, Verdict.MET if good else Verdict.NOT_MET
