"""Sign-in: passwords, session cookies, anti-forgery tokens, and a brake on guessing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from itsdangerous import BadSignature, URLSafeTimedSerializer

from collector.store.database import Database
from collector.store.users import User, find_user

SESSION_COOKIE = "emitrace_session"
FORM_COOKIE = "emitrace_form"
FREE_TRIES = 5
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
FORM_AGE_S = 3600
BASIC_MEMORY_S = 60.0
MOST_KEYS = 10_000
LONGEST_PASSWORD = 1024

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """The argon2id hash to keep."""
    return _HASHER.hash(password)


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in; ``csrf`` is what forms must carry, empty for a script with its password in every request."""

    user: str
    csrf: str


@dataclass(slots=True)
class Brake:
    """Lets a few wrong tries pass, then makes each further one wait twice as long; ``clock`` monotonic. [s]"""

    clock: Callable[[], float]
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict)

    def wait_s(self, key: str) -> float:
        """How long this key must wait before its next try; 0 where it may try now."""
        return max(0.0, self._tries.get(key, (0, 0.0))[1] - self.clock())

    def failed(self, key: str) -> None:
        """Note a wrong try."""
        count = self._tries.pop(key, (0, 0.0))[0] + 1
        over = count - FREE_TRIES
        wait = min(FIRST_WAIT_S * 2.0 ** min(over, 20), LONGEST_WAIT_S) if over >= 0 else 0.0
        while len(self._tries) >= MOST_KEYS:
            self._tries.pop(next(iter(self._tries)))
        self._tries[key] = (count, self.clock() + wait)

    def succeeded(self, key: str) -> None:
        """Forget the wrong tries."""
        self._tries.pop(key, None)


class Authority:
    """Decides who is signed in."""

    def __init__(self, database: Database, secret: str, session_s: int, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._session_s = session_s
        self._sessions = URLSafeTimedSerializer(secret, salt="session")
        self._forms = URLSafeTimedSerializer(secret, salt="form")
        self._secret = secret.encode()
        self._remembered: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self.brake = Brake(clock)

    def sign_in(self, name: str, password: str, client: str) -> str | None:
        """A session cookie's value, or None where name and password do not fit or the brake holds."""
        user = self._check(name, password, client)
        if user is None:
            return None
        return self._sessions.dumps([user.name, secrets.token_urlsafe(24), user.changed_ms])

    def session(self, cookie: str | None) -> Session | None:
        """The session in a cookie, unless it is forged, too old, or from before a password change."""
        if not cookie:
            return None
        try:
            name, csrf, changed_ms = self._sessions.loads(cookie, max_age=self._session_s)
        except (BadSignature, ValueError, TypeError):
            return None
        user = self._find(str(name))
        return Session(user.name, str(csrf)) if user is not None and user.changed_ms == changed_ms else None

    def basic(self, header: str | None, client: str) -> Session | None:
        """The session of a script that sends HTTP Basic."""
        if not header or not header.lower().startswith("basic "):
            return None
        try:
            name, _, password = base64.b64decode(header[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        user = self._check(name, password, script_key(client))
        return None if user is None else Session(user.name, "")

    def form_token(self) -> str:
        """A token for the sign-in form, sent both as a cookie and in the form."""
        return self._forms.dumps(secrets.token_urlsafe(16))

    def form_fits(self, cookie: str | None, field_value: str) -> bool:
        """Whether the form came from the page this browser was given."""
        if not cookie or not hmac.compare_digest(cookie, field_value):
            return False
        try:
            self._forms.loads(cookie, max_age=FORM_AGE_S)
        except BadSignature:
            return False
        return True

    def _check(self, name: str, password: str, key: str) -> User | None:
        """The user, if the password fits; the work is the same for a name that does not exist."""
        with self._lock:
            if self.brake.wait_s(key) > 0 or len(password) > LONGEST_PASSWORD:
                return None
            user = self._find(name)
            stamp = hmac.new(
                self._secret, repr((name, password, user.changed_ms if user else 0)).encode(), hashlib.sha256
            ).digest()
            if user is not None and self._remembered.get(stamp, 0.0) > self._clock():
                return user
            if _fits(user.password_hash if user else _NOBODY, password) and user is not None:
                self.brake.succeeded(key)
                self._remembered = {known: until for known, until in self._remembered.items() if until > self._clock()}
                self._remembered[stamp] = self._clock() + BASIC_MEMORY_S
                return user
            self.brake.failed(key)
            return None

    def _find(self, name: str) -> User | None:
        with self._database.reading() as connection:
            return find_user(connection, name)


def script_key(client: str) -> str:
    """What the brake counts a client's HTTP Basic by: a typing error on the page must not stop its programs."""
    return f"basic {client}"


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
