"""The collector's books opened: configuration, key and database, for the service and for every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import URL, insert, select

from collector.anchor import Anchor
from collector.clock import now_ms
from collector.config import Config
from collector.hours.assemble import HourRule
from collector.inventory.profile import load_profile
from collector.log import keep_secret
from collector.noticing import notice
from collector.store.checkpoints import all_origins, check_key, ensure_origin
from collector.store.database import Database, parse_url
from collector.store.migrations import check_version, stated_version
from collector.store.plans import PlanBook
from collector.store.schema import about
from collector.store.trust import TrustBook
from protocols.errors import EmitraceError
from protocols.wire.keys import KeyFileError, fingerprint, load_key, make_key, public_bytes


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that reads or writes the books starts from here."""

    config: Config
    key: Ed25519PrivateKey
    log_key: Ed25519PrivateKey
    database: Database
    plans: PlanBook
    trust: TrustBook
    anchor: Anchor

    @property
    def public_key(self) -> bytes:
        """Raw public key, 32 bytes."""
        return public_bytes(self.key)

    @property
    def collector_id(self) -> str:
        """Fingerprint of the collector's key, as an agent's is its id; the log's name is its origin."""
        return fingerprint(self.public_key)

    @property
    def hour_rule(self) -> HourRule:
        """The hour rule of the configured profile."""
        return load_profile(self.config.settings.inventory.profile)[0].hour_rule


@contextmanager
def open_books(config: Config) -> Iterator[Books]:
    """Open keys and database, making them where they are missing; older tables are refused.

    Books that went back behind what was signed are noticed here, whatever opens them.
    """
    key = own_key(config)
    database = Database(books_url(config))
    try:
        with database.reading() as connection:
            known = all_origins(connection)
        log_key = _log_key(config, is_old=bool(known))
        if known:
            check_key(known[-1], log_key)
        else:
            with database.writing() as connection:
                ensure_origin(connection, log_key, now_ms())
        anchor = Anchor(config.state_dir)
        notice(database, anchor, public_bytes(log_key))
        yield Books(config, key, log_key, database, PlanBook(), TrustBook(), anchor)
    finally:
        database.close()


def claim_books(books: Books) -> None:
    """Be sure, now that this collector is the active one, that the tables and the signing key are still the books'.

    EmitraceError where the tables were changed while it stood by, or where it has another key: agents would believe
    none of its acknowledgements.
    """
    with books.database.writing() as connection:
        check_version(stated_version(connection) or 0)
        kept = connection.scalar(select(about.c.value).where(about.c.key == "collector"))
        if kept is None:
            connection.execute(insert(about).values(key="collector", value=books.collector_id))
        elif kept != books.collector_id:
            raise EmitraceError(
                f"key {books.config.key_file}", f"fingerprint {books.collector_id}, these books belong to {kept}",
                "Copy collector.key of the collector that was active before.",
            )  # fmt: skip


def books_url(config: Config) -> URL:
    """Where the books are, with the password of its file; no log line and no error shows it."""
    url = parse_url(config.database_url)
    password = config.database_password() or url.password
    keep_secret(password)
    return url.set(password=password) if password else url


def own_key(config: Config) -> Ed25519PrivateKey:
    """The collector's key, which signs its messages; made at first use."""
    return _key(config, config.key_file)


def _log_key(config: Config, *, is_old: bool) -> Ed25519PrivateKey:
    """The key of the evidence log, which signs its checkpoints; made for a new log only."""
    if is_old and not config.log_key_file.exists():
        hint = "Put your copy back, or restore it with the books: its checkpoints are trusted by this key."
        raise EmitraceError(f"key {config.log_key_file}", "is not there, but the log was signed with it", hint)
    return _key(config, config.log_key_file)


def _key(config: Config, file: Path) -> Ed25519PrivateKey:
    _make_folder(config.state_dir)
    if not file.exists():
        try:
            return make_key(file)
        except KeyFileError:
            if not file.exists():
                raise
    return load_key(file)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise EmitraceError(f"state_dir {path}", f"cannot be made: {error.strerror}", "Check its parent.") from error
