"""Checks before an event counts: each with a code, what it means in both languages, and whether it stops a pass.

Bad news is stopped by nothing but a wrong serial number: a failed test counts whoever reports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from calibration.days import add_months
from calibration.events import LABORATORY_TESTS, PERMISSIONS, TESTS, Event, Point, outcome
from calibration.evidence import FORCE, Kind, Result, supports
from calibration.instruments import Instrument, Mpe
from calibration.requirements import Requirement
from protocols.plan.model import Regime

_WIDEST_MPE_PERCENT = 10
_TRAP = Decimal(100)
_LARGE = Decimal("0.05")


class Code(Enum):
    """The closed list of what may be wrong with an event."""

    SERIAL = "serial"
    NO_DOCUMENT = "no-document"
    KIND = "kind"
    NO_UNCERTAINTY = "no-uncertainty"
    DATES = "dates"
    SCOPE = "scope"
    STANDARDS = "standards"
    RANGE_APART = "range-apart"
    UNCERTAINTY_ABOVE_LIMIT = "uncertainty-above-limit"
    NO_VALIDITY = "no-validity"
    UNOFFICIAL = "unofficial"
    RANGE_PART = "range-part"
    UNCERTAINTY_LARGE = "uncertainty-large"
    UNIT_TRAP = "unit-trap"
    AGAINST_POINTS = "against-points"
    LONGER_THAN_REGULATION = "longer-than-regulation"
    ISSUED_BEFORE = "issued-before"
    AUTHORIZATION = "authorization"
    NO_FILE = "no-file"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says, and whether it keeps a pass or a permission from counting."""

    blocks: bool
    zh: str
    en: str


MEANING = {
    Code.SERIAL: Meaning(True, "出厂编号与器具不符", "it is for another serial number"),
    Code.NO_DOCUMENT: Meaning(True, "没有证明文件", "no document stands behind it"),
    Code.KIND: Meaning(
        True, "文件种类不满足该器具的管理方式",
        "this kind of document does not satisfy the instrument's regime",
    ),
    Code.NO_UNCERTAINTY: Meaning(
        True, "校准证书缺少不确定度 U 或 k",
        "a calibration certificate without U or k",
    ),
    Code.DATES: Meaning(True, "有效期早于检定日期", "its validity ends before it was performed"),
    Code.SCOPE: Meaning(True, "项目不在实验室的授权或认可范围内", "outside the laboratory's scope"),
    Code.STANDARDS: Meaning(True, "所用标准器在检定当日已过有效期", "a standard used was past its own validity"),
    Code.RANGE_APART: Meaning(True, "证书范围与使用范围不相交", "its range does not touch the range of use"),
    Code.UNCERTAINTY_ABOVE_LIMIT: Meaning(
        True, "不确定度大于最大允许误差",
        "U is larger than the limits of error",
    ),
    Code.NO_VALIDITY: Meaning(
        True, "既无有效期，也未设定间隔",
        "neither a printed validity nor an interval is set",
    ),
    Code.UNOFFICIAL: Meaning(
        True, "强制检定器具只能由主管部门延期或免除",
        "under mandatory verification only the authority can grant this",
    ),
    Code.RANGE_PART: Meaning(
        False, "证书范围未覆盖全部使用范围",
        "its range covers only part of the range of use",
    ),
    Code.UNCERTAINTY_LARGE: Meaning(
        False, "不确定度大于最大允许误差的三分之一",
        "U is larger than a third of the limits of error",
    ),
    Code.UNIT_TRAP: Meaning(
        False, "数值相差一百倍：请核对是 0.2 还是 0.2 %",
        "figures differ by a factor of 100: 0.2 or 0.2 %?",
    ),
    Code.AGAINST_POINTS: Meaning(
        False, "报告结论为合格，但测试点超出限值；按不合格处理",
        "reported as a pass against its own points; it counts as a failure",
    ),
    Code.LONGER_THAN_REGULATION: Meaning(
        False, "印明有效期长于检定规程的周期；以印明日期为准",
        "the printed day is beyond the regulation's interval; the printed day counts",
    ),
    Code.ISSUED_BEFORE: Meaning(False, "签发日期早于检定日期", "issued before it was performed"),
    Code.AUTHORIZATION: Meaning(False, "未注明授权或认可编号", "no authorization or accreditation number"),
    Code.NO_FILE: Meaning(False, "尚未附文件", "the file itself is not attached yet"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, with the figures that show it."""

    code: Code
    seen: str = ""

    @property
    def blocks(self) -> bool:
        """Whether it keeps a pass from counting."""
        return MEANING[self.code].blocks

    def say(self, language: str) -> str:
        """In words, "zh" or "en"."""
        meaning = MEANING[self.code]
        text = meaning.zh if language.startswith("zh") else meaning.en
        if not self.seen:
            return text
        return f"{text}（{self.seen}）" if language.startswith("zh") else f"{text} ({self.seen})"


def counts(event: Event, instrument: Instrument, requirement: Requirement) -> bool:
    """Whether an event for this instrument may count for this requirement."""
    return next(_blocking(event, instrument, requirement), None) is None


def examine(event: Event, instrument: Instrument, requirement: Requirement) -> tuple[Finding, ...]:
    """Everything found about an event, what blocks it first; empty where nothing speaks against it."""
    return (*_blocking(event, instrument, requirement), *_doubts(event, instrument, requirement))


def _blocking(event: Event, instrument: Instrument, requirement: Requirement) -> Iterator[Finding]:
    if event.serial != instrument.serial:
        yield Finding(Code.SERIAL, f"{event.serial} / {instrument.serial}")
    if event.what in PERMISSIONS and not event.official and instrument.regime is not Regime.USER_DEFINED:
        yield Finding(Code.UNOFFICIAL, event.approver)
    if event.what not in TESTS or outcome(event, instrument.mpe) is not Result.PASS:
        return
    if event.valid_until is None and event.interval is None and requirement.interval is None:
        yield Finding(Code.NO_VALIDITY)
    if event.valid_until and event.performed_on and event.valid_until < event.performed_on:
        yield Finding(Code.DATES, f"{event.valid_until} < {event.performed_on}")
    if requirement.documented:
        yield from _blocking_document(event, instrument)


def _blocking_document(event: Event, instrument: Instrument) -> Iterator[Finding]:
    document = event.document
    if document is None:
        yield Finding(Code.NO_DOCUMENT)
        return
    if not supports(document.kind, instrument.regime, third_party=bool(instrument.duty_holder)):
        yield Finding(Code.KIND, f"{document.kind.value} / {instrument.regime.value}")
    if FORCE[document.kind].gives_uncertainty and not _states_uncertainty(event):
        yield Finding(Code.NO_UNCERTAINTY, document.number)
    if document.in_scope is False:
        yield Finding(Code.SCOPE, document.laboratory)
    until = document.standards_valid_until
    if until is not None and event.performed_on is not None and until < event.performed_on:
        yield Finding(Code.STANDARDS, f"{until} < {event.performed_on}")
    if _apart(event, instrument):
        yield Finding(Code.RANGE_APART)
    share = _largest_share(event, instrument.mpe)
    if share is not None and share > 1:
        yield Finding(Code.UNCERTAINTY_ABOVE_LIMIT, f"U/MPE {share:.2f}")


def _doubts(event: Event, instrument: Instrument, requirement: Requirement) -> Iterator[Finding]:
    if event.what not in TESTS:
        return
    points = event.as_left or event.as_found
    if event.result is Result.PASS and outcome(event, instrument.mpe) is Result.FAIL:
        yield Finding(Code.AGAINST_POINTS)
    if any(_trapped(point, instrument.mpe) for point in (*event.as_found, *points)):
        yield Finding(Code.UNIT_TRAP)
    elif max(instrument.mpe.percent_of_reading, instrument.mpe.percent_of_span) >= _WIDEST_MPE_PERCENT:
        yield Finding(Code.UNIT_TRAP, f"MPE {instrument.mpe.percent_of_reading} %")
    cap = requirement.cap_months
    if cap and event.valid_until and event.performed_on and event.valid_until > add_months(event.performed_on, cap):
        yield Finding(Code.LONGER_THAN_REGULATION, f"{event.valid_until}, {cap} months")
    share = _largest_share(event, instrument.mpe)
    if share is not None and Decimal(1) >= share > Decimal(1) / 3:
        yield Finding(Code.UNCERTAINTY_LARGE, f"U/MPE {share:.2f}")
    document = event.document
    if document is None:
        return
    used, scope = instrument.range, document.scope
    if used and scope and scope.unit == used.unit and not scope.covers(used) and not _apart(event, instrument):
        yield Finding(Code.RANGE_PART, f"{scope.low} - {scope.high} / {used.low} - {used.high} {used.unit}")
    if document.issued_on and event.performed_on and document.issued_on < event.performed_on:
        yield Finding(Code.ISSUED_BEFORE, f"{document.issued_on} < {event.performed_on}")
    if event.what in LABORATORY_TESTS and document.kind is not Kind.STATEMENT and not document.authorization:
        yield Finding(Code.AUTHORIZATION, document.laboratory)
    if not document.sha256:
        yield Finding(Code.NO_FILE, document.number)


def _states_uncertainty(event: Event) -> bool:
    points = event.as_left or event.as_found
    if event.uncertainty is not None:
        return True
    return bool(points) and all(point.standard_uncertainty is not None for point in points)


def _apart(event: Event, instrument: Instrument) -> bool:
    used, document = instrument.range, event.document
    scope = None if document is None else document.scope
    if used is None or scope is None or used.unit != scope.unit:
        return False
    return used.high < scope.low or scope.high < used.low


def _largest_share(event: Event, mpe: Mpe) -> Decimal | None:
    """Largest U / MPE of the points, or of the whole document where it is relative like the limits. [1]"""
    if not (event.as_found or event.as_left or event.uncertainty):
        return None
    found = []
    for point in event.as_left or event.as_found:
        limit, u = point.limit_of(mpe), point.standard_uncertainty
        if limit and u is not None and point.k is not None:
            found.append(u * point.k / limit)
    stated = event.uncertainty
    if not found and stated and mpe.percent_of_reading and stated.unit in ("%", "1"):
        percent = stated.expanded * (_TRAP if stated.unit == "1" else 1)
        found.append(percent / mpe.percent_of_reading)
    return max(found, default=None)


def _trapped(point: Point, mpe: Mpe) -> bool:
    """Whether a figure looks a hundred times too large: 0.2 where 0.2 % was meant.

    Either an error given as a fraction is far outside the limits but inside them when read as per cent, or the
    limit printed for the point and that of the instrument are a hundred apart.
    """
    if point.limit is not None and mpe.stated:
        own, printed = Point(point.nominal, point.reference, point.indication, point.error, point.unit), point
        a, b = own.limit_of(mpe), printed.limit_of(mpe)
        if a and b and (b / a >= _TRAP / 2 or a / b >= _TRAP / 2):
            return True
    ratio = point.ratio(mpe)
    return point.unit == "1" and ratio is not None and 1 < ratio <= _TRAP and abs(point.error or Decimal(0)) >= _LARGE
