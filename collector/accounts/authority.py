"""Who is asking: signing in with a password, the session behind a cookie, a script's HTTP Basic."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from collector.accounts.brake import Brakes
from collector.accounts.engaged import reach_of
from collector.accounts.passwords import (
    LONGEST,
    PasswordError,
    check_password,
    hash_password,
    is_outdated,
    make_password,
    password_fits,
)
from collector.accounts.reach import Reach
from collector.accounts.sessions import (
    SEEN_EVERY_MS,
    Lifetime,
    Session,
    SessionView,
    end_session,
    end_sessions,
    find_session,
    note_seen,
    open_session,
    sessions_of,
)
from collector.accounts.tokens import PREFIX, find_token, note_used
from collector.accounts.users import AccountError, User, change_user, find_user, note_sign_in, read_name, replace_hash
from collector.clock import now_ms
from collector.log import line
from collector.store.audit import Actor, Outcome, Who, record
from collector.store.database import Database

BASIC_MEMORY_S = 60.0
MOST_REMEMBERED = 1000
MOST_IN_HAND = 16
"""Passwords waiting to be checked; one is checked at a time, each takes 64 MiB and some 50 ms."""
BUSY_S = 1.0
SCRIPT_NOTED_EVERY_MS = 3_600_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from: the address, and what the browser calls itself."""

    address: str
    browser: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """No: the password does not fit, or, with ``wait_s``, nothing was looked at and the client has to wait. [s]

    ``over``: name and password fit, but the verifier's engagement is over.
    """

    wait_s: float = 0.0
    over: bool = False


class Authority:
    """Decides who is signed in.

    Parameters
    ----------
    database : Database
        Where accounts and sessions are.
    lifetime : Lifetime
        How long a session lasts.
    clock : Callable
        Monotonic, for the brakes. [s]
    now : Callable
        Wall clock, for the sessions. [UTC ms]
    """

    def __init__(
        self, database: Database, lifetime: Lifetime, clock: Callable[[], float], now: Callable[[], int] = now_ms
    ) -> None:
        self._database = database
        self._lifetime = lifetime
        self._clock = clock
        self._now = now
        self._secret = secrets.token_bytes(32)  # what is remembered ends with the process
        self._nobody = hash_password(make_password())
        self._remembered: dict[bytes, float] = {}
        self._page, self._script, self._token = Brakes(clock), Brakes(clock), Brakes(clock)
        self._one = threading.Lock()
        self._in_hand = threading.BoundedSemaphore(MOST_IN_HAND)

    def sign_in(self, name: str, password: str, client: Client, former: str | None = None) -> str | Refusal:
        """The token of a new session; the one that the browser had before (``former``) ends."""
        user = self._judge(name, password, client, self._page, "page")
        if isinstance(user, Refusal):
            return user
        at_ms = self._now()
        if self._reach(user, at_ms) is None:
            return self._over(user, "page", client)
        with self._database.writing() as connection:
            if is_outdated(user.password_hash):
                replace_hash(connection, user.name, user.password_hash, hash_password(password))
            before = find_session(connection, former, self._lifetime, at_ms) if former else None
            if before is not None and before.number is not None:
                end_session(connection, before.user, before.number)
            note_sign_in(connection, user.name, at_ms)
            token = open_session(connection, user.name, client.address, client.browser, self._lifetime, at_ms)
            record(connection, "sign-in", user.name, at_ms, detail="page", by=_actor(user.name, client))
        log.info(line("sign-in", verdict="accepted", user=user.name, role=user.role, address=client.address))
        return token

    def session(self, token: str | None) -> Session | None:
        """The session of a cookie, unless it, or its account, has ended."""
        if not token:
            return None
        with self._database.reading() as connection:
            return find_session(connection, token, self._lifetime, self._now())

    def basic(self, header: str | None, client: Client) -> Session | Refusal | None:
        """The session of a script that sends HTTP Basic; None where it sends none."""
        if not header or not header.lower().startswith("basic "):
            return None
        name, password = _basic(header)
        if not name:
            return Refusal()
        user = self._judge(name, password, client, self._script, "script")
        if isinstance(user, Refusal):
            return user
        at_ms = self._now()
        if (reach := self._reach(user, at_ms)) is None:
            return self._over(user, "script", client)
        if at_ms - (user.signed_in_ms or 0) > SCRIPT_NOTED_EVERY_MS:
            self._note(lambda connection: self._signed_in(connection, user.name, client, at_ms), user.name)
        return Session(user.name, user.role, user.must_change, reach=reach)

    def bearer(self, header: str | None, client: Client) -> Session | Refusal | None:
        """The session of a program that sends an API token, or has it as the password of HTTP Basic; None without one.

        Wrong tokens are braked so that nobody fills log and audit trail with them; a good one passes at any time.
        """
        secret = _token_in(header or "")
        if secret is None:
            return None
        with self._database.reading() as connection:
            session = find_token(connection, secret, self._now())
        if session is not None:
            return session
        if (wait_s := self._token.wait_s("", client.address)) > 0:
            return Refusal(wait_s)
        self._token.failed("", client.address)
        self._refused("unknown", "token", client)
        return Refusal()

    def note_seen(self, session: Session, client: Client) -> None:
        """Note that a session or token is in use, now and then."""
        at_ms = self._now()
        if at_ms - session.seen_ms <= SEEN_EVERY_MS:
            return
        if (token := session.token) is not None:
            self._note(lambda connection: note_used(connection, token, client.address, at_ms), session.user)
        elif (number := session.number) is not None:
            self._note(lambda connection: note_seen(connection, number, at_ms), session.user)

    def change_password(self, session: Session, current: str, new: str, client: Client) -> str | Refusal:
        """Change one's own password: every session ends, and the token of a new one is returned.

        PasswordError where the new one is not taken; ``reason`` is then also ``same``, for the current one.
        """
        check_password(session.user, new)
        if hmac.compare_digest(current.encode(), new.encode()):
            raise PasswordError("same", "it is the current one", "Take another.")
        user = self._judge(session.user, current, client, self._page, "password-change")
        if isinstance(user, Refusal):
            return user
        hashed, at_ms = hash_password(new), self._now()
        with self._database.writing() as connection:
            change_user(connection, user.name, at_ms, password_hash=hashed, must_change=False)
            ended = end_sessions(connection, user.name)
            token = open_session(connection, user.name, client.address, client.browser, self._lifetime, at_ms)
            record(connection, "account-password-changed", user.name, at_ms)
        log.info(line("account-password-changed", user=user.name, sessions_ended=ended, by=user.name))
        return token

    def own_sessions(self, session: Session) -> list[SessionView]:
        """The sessions of the same user, last used first."""
        with self._database.reading() as connection:
            return sessions_of(connection, session.user, self._lifetime, self._now())

    def sign_out(self, session: Session, number: int | None) -> None:
        """End one of one's own sessions."""
        if number is None:
            return
        with self._database.writing() as connection:
            ended = end_session(connection, session.user, number)
            if ended:
                record(connection, "sign-out", session.user, self._now())
        if ended:
            log.info(line("account-signed-out", user=session.user, by=session.user))

    def _judge(self, typed: str, password: str, client: Client, brakes: Brakes, way: str) -> User | Refusal:
        """The user, if the password fits; the work is the same for an account that does not exist or is disabled."""
        try:
            name = read_name(typed)
        except AccountError:
            name = ""
        if (wait_s := brakes.wait_s(name, client.address)) > 0:
            return Refusal(wait_s)  # before anything is compared: a guess that is right must not come out faster
        user = self._find(name)
        stamp = self._stamp(name, password, user)
        if user is not None and user.enabled and self._remembered.get(stamp, 0.0) > self._clock():
            return user
        if not self._in_hand.acquire(blocking=False):
            return Refusal(BUSY_S)
        try:
            with self._one:
                if (wait_s := brakes.wait_s(name, client.address)) > 0:
                    return Refusal(wait_s)
                kept = user.password_hash if user is not None else self._nobody
                fits = len(password) <= LONGEST and password_fits(kept, password)
                if fits and user is not None and user.enabled:
                    brakes.succeeded(name, client.address)
                    if brakes is self._script:
                        self._remember(stamp)
                    return user
                brakes.failed(name, client.address)
        finally:
            self._in_hand.release()
        # Of a name that is no account's nothing is logged: people type their password there.
        known = user.name if user is not None else "unknown"
        self._refused(known, way, client)
        return Refusal()

    def _reach(self, user: User, at_ms: int) -> Reach | None:
        with self._database.reading() as connection:
            return reach_of(connection, user.name, user.role, at_ms)

    def _over(self, user: User, way: str, client: Client) -> Refusal:
        """The right password of a verifier whose engagement is over."""
        self._refused(user.name, f"{way}, engagement over", client)
        return Refusal(over=True)

    def _refused(self, known: str, way: str, client: Client) -> None:
        """Log a sign-in that failed, in the audit trail too."""
        log.warning(line("sign-in", verdict="refused", user=known, way=way, address=client.address))
        by = Actor(Who.STRANGER, known, client.address)
        self._note(
            lambda connection: record(
                connection, "sign-in", known, self._now(), detail=way, outcome=Outcome.REFUSED, by=by
            ),
            known,
        )

    @staticmethod
    def _signed_in(connection: Connection, user: str, client: Client, at_ms: int) -> None:
        note_sign_in(connection, user, at_ms)
        record(connection, "sign-in", user, at_ms, detail="script", by=_actor(user, client))

    def _stamp(self, name: str, password: str, user: User | None) -> bytes:
        """What is remembered of a right password: worth nothing elsewhere, later, or once the account is changed."""
        text = repr((name, password, user.password_hash if user else ""))
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def _remember(self, stamp: bytes) -> None:
        now = self._clock()
        kept = {known: until for known, until in self._remembered.items() if until > now}
        self._remembered = {**(kept if len(kept) < MOST_REMEMBERED else {}), stamp: now + BASIC_MEMORY_S}

    def _note(self, write: Callable[[Connection], None], user: str) -> None:
        """Write something nobody waits for; a database that is busy or full stops nobody here."""
        try:
            with self._database.writing() as connection:
                write(connection)
        except SQLAlchemyError as error:
            log.warning(line("use-not-noted", user=user, error=error))

    def _find(self, name: str) -> User | None:
        with self._database.reading() as connection:
            return find_user(connection, name)


def _actor(user: str, client: Client) -> Actor:
    return Actor(Who.ACCOUNT, user, client.address)


def _token_in(header: str) -> str | None:
    """The API token of an Authorization header; calendars and spreadsheets can only send it as a password."""
    if header.lower().startswith("bearer "):
        return header[7:].strip()
    password = _basic(header)[1]
    return password if password.startswith(PREFIX) else None


def _basic(header: str) -> tuple[str, str]:
    """Name and password of HTTP Basic; empty where the header has none that can be read."""
    if not header.lower().startswith("basic "):
        return "", ""
    try:
        name, _, password = base64.b64decode(header[6:], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password
