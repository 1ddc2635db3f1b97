"""Who may see the page: a PIN kept as its scrypt digest, few tries, and sessions that end."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import EmitraceError

FILE = "field-pin.json"
LEAST_DIGITS = 6
FREE_TRIES = 5
FIRST_PAUSE_S = 30.0
MOST_PAUSE_S = 900.0
SESSION_S = 8 * 3_600.0
MOST_SESSIONS = 16
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class PinError(EmitraceError):
    """A PIN that is missing or too weak."""


def keep_pin(folder: Path, pin: str) -> None:
    """Store a PIN's digest for the owner of the folder alone."""
    if not pin.isdecimal() or len(pin) < LEAST_DIGITS or len(set(pin)) == 1:
        raise PinError("PIN", "too weak", f"choose {LEAST_DIGITS} digits or more, not all the same")
    salt = os.urandom(16)
    told = {"salt": salt.hex(), "digest": _digest(pin, salt).hex()}
    draft = folder / f".{FILE}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        json.dump(told, file)
    draft.replace(folder / FILE)


def load_pin(folder: Path) -> tuple[bytes, bytes]:
    """Salt and digest; PinError where none was set."""
    path = folder / FILE
    try:
        told = json.loads(path.read_text(encoding="ascii"))
        return bytes.fromhex(told["salt"]), bytes.fromhex(told["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PinError(f"PIN {path}", "none was set", "set one with 'emitrace-agent field-pin'") from error


@dataclass(slots=True)
class Session:
    """Somebody who knew the PIN; ``csrf`` must come back with every form."""

    csrf: str
    ends_s: float


class Gate:
    """Counts tries and keeps sessions. Time enters as an argument: seconds on a monotonic clock."""

    def __init__(self, salt: bytes, digest: bytes) -> None:
        self._salt = salt
        self._expected = digest
        self._failures = 0
        self._closed_until_s = float("-inf")
        self._sessions: dict[str, Session] = {}

    def closed_s(self, now_s: float) -> float:
        """How long no PIN is taken any more, after too many wrong ones; whoever they came from. [s]"""
        return max(self._closed_until_s - now_s, 0.0)

    def enter(self, pin: str, now_s: float) -> str | None:
        """The key of a new session; None for a wrong PIN, or while the gate is closed."""
        if self.closed_s(now_s):
            return None
        if not hmac.compare_digest(_digest(pin[:64], self._salt), self._expected):
            self._failures += 1
            over = self._failures - FREE_TRIES
            if over >= 0:
                self._closed_until_s = now_s + min(FIRST_PAUSE_S * 2 ** min(over, 10), MOST_PAUSE_S)
            return None
        self._failures = 0
        self._sessions = {key: one for key, one in self._sessions.items() if one.ends_s > now_s}
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        key = secrets.token_urlsafe(32)
        self._sessions[key] = Session(secrets.token_urlsafe(32), now_s + SESSION_S)
        return key

    def session(self, key: str, now_s: float) -> Session | None:
        """The session of a key, until it ends."""
        found = self._sessions.get(key)
        return found if found is not None and found.ends_s > now_s else None

    def leave(self, key: str) -> None:
        """End a session."""
        self._sessions.pop(key, None)


def _digest(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=_SCRYPT["n"], r=_SCRYPT["r"], p=_SCRYPT["p"])
