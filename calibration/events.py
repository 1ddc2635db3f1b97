"""What happened to an instrument: tests with their points as found and as left, disturbances, exemptions.

An event is entered once and never edited; a correction is another event that supersedes it. It states the day
it was performed on (as documents do), the instant (as checks and swaps do), or both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import TypeAlias
from zoneinfo import ZoneInfo

from calibration.certificates import Certificate
from calibration.days import FIRST_YEAR, LAST_YEAR, day_of, midnight
from calibration.errors import CalibrationError
from calibration.evidence import Document, Kind, Result, Uncertainty
from calibration.instruments import Mpe
from calibration.intervals import Interval

_HUNDRED = Decimal(100)


class What(Enum):
    """The closed list of what can happen."""

    VERIFICATION = "verification"
    CALIBRATION = "calibration"
    IN_SERVICE_CHECK = "in-service-check"
    DRIFT_CHECK = "drift-check"
    LINEARITY_CHECK = "linearity-check"
    RELATIVE_ACCURACY = "relative-accuracy-test"
    ADJUSTMENT = "adjustment"
    REPAIR = "repair"
    SEAL_BROKEN = "seal-broken"
    MOVE = "move"
    OUT_OF_USE = "out-of-use"
    BACK_IN_USE = "back-in-use"
    EXEMPTION = "exemption"
    EXTENSION = "extension"

    __hash__ = object.__hash__  # members are single objects; Enum's own hashes the name, in Python, each time


TESTS = frozenset(
    {
        What.VERIFICATION, What.CALIBRATION, What.IN_SERVICE_CHECK, What.DRIFT_CHECK, What.LINEARITY_CHECK,
        What.RELATIVE_ACCURACY,
    }
)  # fmt: skip
"""Events with a result."""

LABORATORY_TESTS = frozenset({What.VERIFICATION, What.CALIBRATION})
"""Tests judged by the limits at verification; all others by the wider ones in service."""

DISTURBANCES = frozenset({What.ADJUSTMENT, What.REPAIR, What.SEAL_BROKEN, What.MOVE})
"""Events after which nobody knows whether the instrument still keeps its limits, until it passes again."""

PERMISSIONS = frozenset({What.EXEMPTION, What.EXTENSION})
"""Events that somebody grants, for a time, with a basis and a name."""


@dataclass(frozen=True, slots=True)
class Point:
    """One test point.

    Attributes
    ----------
    nominal : Decimal
        Where the instrument was tested.
    reference, indication : Decimal or None
        Of the standard and of the instrument. [instrument's unit]
    error : Decimal or None
        As stated; else it is indication - reference.
    unit : str
        Of error, uncertainty and limit: "" the instrument's own, "%" or "1" of the reference.
    uncertainty, k : Decimal or None
        Expanded uncertainty of the error with its coverage factor.
    limit : Decimal or None
        As printed for this point; else the instrument's limits of error hold.
    """

    nominal: Decimal
    reference: Decimal | None = None
    indication: Decimal | None = None
    error: Decimal | None = None
    unit: str = ""
    uncertainty: Decimal | None = None
    k: Decimal | None = None
    limit: Decimal | None = None

    def __post_init__(self) -> None:
        stated = (self.nominal, self.reference, self.indication, self.error, self.uncertainty, self.k, self.limit)
        if not all(figure is None or figure.is_finite() for figure in stated):
            raise CalibrationError(
                f"test point {self.nominal}", "a figure that is no number", "leave out what is not known"
            )
        if (self.uncertainty or 0) < 0 or (self.limit or 0) < 0 or (self.k is not None and self.k <= 0):
            raise CalibrationError(
                f"test point {self.nominal}", "a negative U or limit, or k not above 0", "correct it"
            )
        if self.unit not in ("", "%", "1"):
            raise CalibrationError(
                f"test point {self.nominal}", f"unit {self.unit!r} of an error", 'one of "", "%", "1"'
            )
        if self.error is None and (self.reference is None or self.indication is None):
            raise CalibrationError(
                f"test point {self.nominal}", "neither an error nor reference and indication", "give what was found"
            )
        if self.error is None and self.unit:
            raise CalibrationError(f"test point {self.nominal}", f"unit {self.unit!r} of no error", "give the error")

    @property
    def absolute(self) -> Decimal:
        """Error in the instrument's unit, indication - reference."""
        if self.error is None:
            assert self.reference is not None and self.indication is not None  # noqa: S101, PT018 - checked above
            return self.indication - self.reference
        return self.error * self._size_of_unit

    @property
    def relative(self) -> Decimal | None:
        """Error as a fraction of the reference, None at zero. [1]"""
        if self.error is not None and self.unit:
            return self.error / _HUNDRED if self.unit == "%" else self.error
        return self.absolute / abs(self._at) if self._at else None

    @property
    def standard_uncertainty(self) -> Decimal | None:
        """U = U / k of the error, in the instrument's unit; None where not stated."""
        if self.uncertainty is None or self.k is None:
            return None
        return self.uncertainty * self._size_of_unit / self.k

    def limit_of(self, mpe: Mpe, *, in_service: bool = False) -> Decimal | None:
        """Half-width of the limits at this point, in the instrument's unit; None where none is known."""
        if self.limit is not None:
            return self.limit * self._size_of_unit
        return mpe.at(self._at, in_service=in_service) if mpe.stated else None

    def ratio(self, mpe: Mpe, *, in_service: bool = False) -> Decimal | None:
        """|error| / limit; above 1 the instrument is out of its limits here. None where no limit is known. [1]"""
        limit = self.limit_of(mpe, in_service=in_service)
        if limit is None:
            return None
        if not limit:
            return Decimal(0) if not self.absolute else Decimal("Infinity")
        return abs(self.absolute) / limit

    @property
    def _at(self) -> Decimal:
        return self.nominal if self.reference is None else self.reference

    @property
    def _size_of_unit(self) -> Decimal:
        """What one unit of the stated error is in the instrument's unit, at this point."""
        return {"": Decimal(1), "1": abs(self._at), "%": abs(self._at) / _HUNDRED}[self.unit]


def worst_ratio(points: Iterable[Point], mpe: Mpe, *, in_service: bool = False) -> Decimal | None:
    """Largest |error| / limit of the points; None where there is no point with a limit. [1]"""
    found = [r for point in points if (r := point.ratio(mpe, in_service=in_service)) is not None]
    return max(found, default=None)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one instrument.

    Attributes
    ----------
    id, instrument, serial : str
    what : What
    performed_on : date or None
        In the facility's zone; counts from its midnight on.
    at_ms : int or None
        The instant, where it is known: for a test, its completion. [UTC ms]
    result : Result or None
        As reported. None for what is no test, or where the points alone speak.
    valid_until : date or None
        Last valid day as printed; of an exemption or extension its last day. A printed day wins over any interval.
    interval : Interval or None
        Where nothing is printed: the interval set for this test, else that of the requirement.
    as_found, as_left : tuple of Point
        Before and after adjustment. Without adjustment only ``as_found``.
    document : Document or None
    uncertainty : Uncertainty or None
        Of the whole document, where it is not stated point by point.
    requirements : frozenset of str
        An exemption or extension holds for these requirements; empty means all.
    basis, approver, reason : str
    official : bool
        Granted by the authority (a batch extension after sampling), not by the user.
    supersedes : str
        Id of the event that this one replaces.
    """

    id: str
    instrument: str
    serial: str
    what: What
    performed_on: date | None = None
    at_ms: int | None = None
    result: Result | None = None
    valid_until: date | None = None
    interval: Interval | None = None
    as_found: tuple[Point, ...] = ()
    as_left: tuple[Point, ...] = ()
    document: Document | None = None
    uncertainty: Uncertainty | None = None
    requirements: frozenset[str] = frozenset()
    basis: str = ""
    approver: str = ""
    reason: str = ""
    official: bool = False
    supersedes: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        subject = f"event {self.id}"
        if self.performed_on is None and self.at_ms is None:
            raise CalibrationError(subject, "no time", "give the day it was performed on, or the instant")
        for day in (self.performed_on, self.valid_until):
            if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
                raise CalibrationError(subject, f"the year {day.year}", f"a year from {FIRST_YEAR} to {LAST_YEAR}")
        if self.what in TESTS and self.result is None and not (self.as_found or self.as_left):
            raise CalibrationError(subject, "a test without a result", "give pass or fail, or the points")
        if self.what not in TESTS and (self.result is not None or self.as_found or self.as_left):
            raise CalibrationError(subject, f"a result of a {self.what.value}", "enter the test as an event of its own")
        if self.what in PERMISSIONS and not (self.valid_until and self.basis and self.approver):
            raise CalibrationError(
                subject,
                f"an {self.what.value} without end, basis or approver",
                "nothing is granted for ever or by nobody",
            )
        if self.result is Result.FAIL and self.valid_until is not None:
            raise CalibrationError(subject, "a validity of what was not passed", "leave out valid_until")
        if self.supersedes == self.id:
            raise CalibrationError(subject, "it supersedes itself", "name the event that it replaces")

    def start_ms(self, zone: ZoneInfo) -> int:
        """Instant from which it counts. [UTC ms]"""
        if self.at_ms is not None:
            return self.at_ms
        assert self.performed_on is not None  # noqa: S101 - checked above
        return midnight(self.performed_on, zone)

    def day(self, zone: ZoneInfo) -> date:
        """The facility's day it was performed on."""
        if self.performed_on is not None:
            return self.performed_on
        assert self.at_ms is not None  # noqa: S101 - checked above
        return day_of(self.at_ms, zone)


Known: TypeAlias = tuple[Event, int]
"""An event and the size of the evidence log from which on it is known."""


def outcome(event: Event, mpe: Mpe) -> Result | None:
    """What a test says of the instrument as it was left: the worse of what is reported and what its points show.

    A verdict is not believed against its own points. None for what is no test, and for a test that reports no
    verdict and whose points have no limits to be judged by.
    """
    if not (event.as_left or event.as_found):
        return event.result
    in_service = event.what not in LABORATORY_TESTS
    ratio = worst_ratio(event.as_left or event.as_found, mpe, in_service=in_service)
    if event.result is Result.FAIL or (ratio is not None and ratio > 1):
        return Result.FAIL
    return Result.PASS if ratio is not None else event.result


def found_outside(event: Event, mpe: Mpe) -> bool:
    """Whether a test found the instrument out of its limits, before any adjustment."""
    if event.what not in TESTS:
        return False
    ratio = worst_ratio(event.as_found, mpe, in_service=True)
    if ratio is not None:
        return ratio > 1 or (event.result is Result.FAIL and not event.as_left)
    return event.result is Result.FAIL


_TEST_OF = {Kind.VERIFICATION: What.VERIFICATION, Kind.REJECTION: What.VERIFICATION}


def from_certificate(certificate: Certificate) -> Event:
    """The event that an entered certificate record is about."""
    stated = certificate.uncertainty
    return Event(
        certificate.id, certificate.instrument, certificate.serial,
        _TEST_OF.get(certificate.kind, What.CALIBRATION), certificate.performed_on,
        result=certificate.result, valid_until=certificate.valid_until,
        interval=None if certificate.interval_months is None else Interval(months=certificate.interval_months),
        document=Document(
            certificate.kind, certificate.number, certificate.laboratory, regulation=certificate.regulation,
            class_name=certificate.class_name, sha256=certificate.document_sha256,
        ),
        uncertainty=None
        if stated is None or certificate.k is None
        else Uncertainty(stated, certificate.k, certificate.uncertainty_unit),
        supersedes=certificate.supersedes, note=certificate.note,
    )  # fmt: skip
