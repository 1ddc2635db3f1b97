"""Errors of this room.

::

    EmitraceError
    +-- CalibrationError     a record, scheme or document that makes no sense
        +-- CertificateError the bytes of a certificate hold none
        +-- DccError         a digital calibration certificate that is refused
"""

from __future__ import annotations

from protocols.errors import EmitraceError


class CalibrationError(EmitraceError):
    """A record, a scheme or a document about calibration makes no sense."""


class CertificateError(CalibrationError):
    """The bytes of a certificate do not hold a certificate."""


class DccError(CalibrationError):
    """A digital calibration certificate is unsafe, damaged or says nothing that can be used."""
