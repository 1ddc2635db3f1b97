"""Kinds of evidence: what each document can prove about an instrument, and what it cannot.

The kinds are those of Chinese practice, onto which others map. Whether one particular event may count is
asked in ``calibration.checks``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum

from calibration.errors import CalibrationError
from calibration.instruments import Range
from protocols.plan.model import Regime


class Kind(Enum):
    """What a document is."""

    VERIFICATION = "verification-certificate"  # 检定证书: passed, with its end of validity; class, no U
    REJECTION = "verification-result-notice"  # 检定结果通知书: not passed, no validity
    CALIBRATION = "calibration-certificate"  # 校准证书: values with uncertainty, no verdict of its own
    TEST = "test-report"  # 检测报告: results, but no metrological traceability by itself
    STATEMENT = "duty-holder-statement"  # of the grid or gas company, with a photo of the mark on its meter

    __hash__ = object.__hash__  # members are single objects; Enum's own hashes the name, in Python, each time


class Result(Enum):
    """Whether the instrument met its limits."""

    PASS = "pass"  # noqa: S105 - a result, not a secret
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Force:
    """What a kind of document can prove.

    Attributes
    ----------
    passes : bool
        It can state that an instrument is good; every kind can state that it is not.
    traceable : bool
        It shows metrological traceability by itself.
    meets_mandatory : bool
        It satisfies mandatory verification.
    gives_uncertainty : bool
        It states U and k; otherwise u = MPE / sqrt 3.
    zh, en : str
        The same in words.
    """

    passes: bool
    traceable: bool
    meets_mandatory: bool
    gives_uncertainty: bool
    zh: str
    en: str


FORCE = {
    Kind.VERIFICATION: Force(
        True, True, True, False,
        "检定证书：合格，有效期至印明日期；给出准确度等级，不给不确定度，u = MPE/√3。",
        "Verification certificate: passed, valid until the printed day; a class and no uncertainty, u = MPE/sqrt 3.",
    ),
    Kind.REJECTION: Force(
        False, True, True, False,
        "检定结果通知书：不合格，无有效期；该器具不得使用。",
        "Verification result notice: not passed, no validity; the instrument must not be used.",
    ),
    Kind.CALIBRATION: Force(
        True, True, False, True,
        "校准证书：给出示值误差及不确定度 U 和 k；不能代替强制检定。",
        "Calibration certificate: errors with U and k; never takes the place of mandatory verification.",
    ),
    Kind.TEST: Force(
        False, False, False, False,
        "检测报告：给出结果，但本身不能证明量值溯源。",
        "Test report: results, but no traceability by itself.",
    ),
    Kind.STATEMENT: Force(
        True, False, True, False,
        "责任方声明（附检定标记照片）：仅适用于由电网或燃气公司负责检定的结算计量器具。",
        "Statement of the duty holder with a photo of the mark: only for billing meters that the grid or gas"
        " company has to have verified.",
    ),
}  # fmt: skip
"""What each kind can prove; a rule on documents is asked here and nowhere else."""


def supports(kind: Kind, regime: Regime, *, third_party: bool = False) -> bool:
    """Whether a passed document of this kind gives an instrument of this regime its validity.

    Mandatory verification asks for a verification certificate; a calibration does not replace it. An
    instrument under the user's own interval may have either. A test report gives none. The duty holder's
    statement serves where the duty is a third party's.
    """
    force = FORCE[kind]
    if not force.passes:
        return False
    if kind is Kind.STATEMENT:
        return third_party
    return force.meets_mandatory or regime is Regime.USER_DEFINED


@dataclass(frozen=True, slots=True)
class Document:
    """A document about one or several instruments.

    Attributes
    ----------
    kind : Kind
    number : str
        As printed.
    laboratory, authorization : str
        Who, and the number of the legal authorization or the accreditation (such as ``CNAS L1234``).
    regulation : str
        Verification regulation or method, such as ``JJG 596-2012``.
    issued_on : date or None
    scope : Range or None
        Range the results hold for.
    in_scope : bool or None
        Whether the laboratory's scope covers the item; None where nobody has looked.
    standards_valid_until : date or None
        Earliest last valid day of the standards used, as printed.
    sha256 : str
        Of the document's bytes, 64 hexadecimal digits; empty where there is no file yet.
    """

    kind: Kind
    number: str
    laboratory: str = ""
    authorization: str = ""
    regulation: str = ""
    issued_on: date | None = None
    class_name: str = ""
    scope: Range | None = None
    in_scope: bool | None = None
    standards_valid_until: date | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.number:
            raise CalibrationError("document", "no number", "give the number printed on it")
        if self.sha256 and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise CalibrationError(
                f"document {self.number}", f"SHA-256 {self.sha256!r}", "64 hexadecimal digits in small letters"
            )


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Expanded uncertainty U with its coverage factor k, in a unit ("%" of reading, "1", or the instrument's)."""

    expanded: Decimal
    k: Decimal
    unit: str

    def __post_init__(self) -> None:
        if self.expanded <= 0 or self.k <= 0 or not self.unit:
            raise CalibrationError(
                "uncertainty", f"U {self.expanded} {self.unit}, k {self.k}", "give U, k and the unit"
            )
