"""The closed list of reasons for which bytes from outside are refused."""

from __future__ import annotations

from enum import Enum

from protocols.errors import EmitraceError


class Reason(Enum):
    """Why a message was refused; the value is the word shown in the quarantine."""

    MALFORMED = "malformed"
    UNPROTECTED_NOT_EMPTY = "unprotected-not-empty"
    UNKNOWN_KEY = "unknown-key"
    WRONG_SIGNATURE = "wrong-signature"
    WRONG_CONTENT_TYPE = "wrong-content-type"
    TOO_LARGE = "too-large"
    BOMB = "bomb"
    NOT_DETERMINISTIC = "not-deterministic"
    DUPLICATE_KEYS = "duplicate-keys"
    TRAILING_BYTES = "trailing-bytes"
    UNSUPPORTED_VERSION = "unsupported-version"
    SCHEMA = "schema"
    CHAIN = "chain"
    PLAN_UNKNOWN = "plan-unknown"
    PLAN_INVALID = "plan-invalid"
    CONFLICT = "conflict"
    OVERLAP = "overlap"
    STREAM_UNKNOWN = "stream-unknown"
    REVOKED = "revoked"
    REPLACED_KEY = "replaced-key"


class WireError(EmitraceError):
    """Bytes that do not say what they must; ``reason`` is one of the closed list."""

    def __init__(self, reason: Reason, subject: str, seen: str, hint: str = "") -> None:
        super().__init__(subject, seen, hint)
        self.reason = reason
