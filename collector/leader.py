"""One active collector on a PostgreSQL server: whoever holds the books' session lock; others stand by.

The lock is the server's own and is free as soon as its session ends, however that comes about. Whoever leads proves it
inside every write transaction, after the turn of writing was given to it: the lock's session, with a number only it
knows, must still be there. Writers take turns, so nothing of a leader that lost its lock is committed after the first
transaction of the next one.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from collector.log import line
from collector.notify import ALIVE, READY, notify
from collector.store.database import Database
from collector.store.postgresql import APPLICATION, LEADER

EVERY_S = 1.0
"""How often the lock is tried for by who stands by, and looked after by who leads."""
NUMBERS = APPLICATION + 1
"""First key of the locks that prove a session is still the one it was."""

log = logging.getLogger(__name__)


class NotLeadingError(SQLAlchemyError):
    """The lock of the active collector is not held; nothing was written, and it is tried again like books away."""


@dataclass(frozen=True, slots=True)
class _Session:
    """The session that holds the lock: its connection, its process on the server, and its number."""

    connection: Connection
    pid: int
    number: int


class Leader:
    """Takes the lock of the active collector and keeps it; every write of ``database`` from then on asks for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: _Session | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> bool:
        """Take the lock if it is free; whether it is held now. SQLAlchemyError where the server cannot be asked."""
        self._database.allowed = self.check
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.detach()  # a session of its own, never given to anybody else
            if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({APPLICATION}, {LEADER})").scalar():
                connection.close()
                return False
            number = secrets.randbelow(2**31)
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({NUMBERS}, {number})")
            pid = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        except SQLAlchemyError:
            connection.close()
            raise
        self._session = _Session(connection, pid, number)
        return True

    def check(self, connection: Connection) -> None:
        """NotLeadingError unless the lock's session is there, as seen inside this write transaction."""
        session = self._session
        if session is not None and connection.exec_driver_sql(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "  # noqa: S608
            f"AND classid = {NUMBERS} AND objid = {session.number} AND pid = {session.pid})"
        ).scalar():
            return
        raise NotLeadingError("the lock of the active collector is not held")

    def wait(self, stopped: threading.Event) -> bool:
        """Stand by until the lock is taken; False where ``stopped`` was set before."""
        told = False
        while not stopped.is_set():
            try:
                if self.take():
                    return True
                if not told:
                    log.info(line("standby", hint="another collector is active; this one takes over when it ends"))
                    told = True
            except SQLAlchemyError as error:
                log.error(line("books-away", error=error, retry_s=EVERY_S))
            notify(f"{READY}\n{ALIVE}\nSTATUS=standby: another collector is active")
            stopped.wait(EVERY_S)
        return False

    def keep(self, on_lost: Callable[[], None]) -> None:
        """Look after the lock in the background; ``on_lost`` is called once where another collector has it."""
        self._thread = threading.Thread(target=self._look_after, args=(on_lost,), name="leader", daemon=True)
        self._thread.start()

    def give_up(self) -> None:
        """Let go of the lock: the next in line takes it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2 * EVERY_S)
        self._end_session()

    def _look_after(self, on_lost: Callable[[], None]) -> None:
        while not self._stopping.wait(EVERY_S):
            if self._is_there():
                continue
            log.error(line("lead-lost", hint="nothing is written until the lock is held again"))
            self._end_session()
            if not self._retake():
                on_lost()
                return

    def _is_there(self) -> bool:
        session = self._session
        try:
            return session is not None and session.connection.exec_driver_sql("SELECT 1").scalar() == 1
        except SQLAlchemyError:
            return False

    def _retake(self) -> bool:
        """Take the lock again once the server answers; False where another has it by then, or the end came first."""
        while not self._stopping.is_set():
            try:
                held = self.take()
            except SQLAlchemyError:
                self._stopping.wait(EVERY_S)
                continue
            if held:
                log.info(line("lead-taken-again"))
            else:
                log.critical(line("lead-is-anothers", hint="this one ends; started again, it stands by"))
            return held
        return True

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.connection.close()
            except SQLAlchemyError as error:
                log.debug(line("lead-session-ended", error=error))
