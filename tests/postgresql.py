"""A private PostgreSQL server for the tests: own cluster, own port of loopback, nothing outlives it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.services import LOOPBACK, Process, accepts, free_port, wait_until

USER, PASSWORD = "emitrace", "loopback-only"
SETTINGS = (
    "fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=64MB", "max_connections=60",
    "autovacuum=off", "max_wal_size=4GB",
)  # fmt: skip
"""What is written need not outlive the machine: the server is made anew for each run."""


def find_server() -> str | None:
    """Full path of ``postgres``; Debian keeps each version's programs in a folder of their own."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else shutil.which("postgres")


@contextmanager
def a_postgresql(*, durable: bool = False) -> Iterator[PostgreSQL]:
    """A running server in a folder of its own; both are gone at the end."""
    memory = Path("/dev/shm")  # noqa: S108  # a private folder is made in it
    place = memory if memory.is_dir() and not durable else None
    with tempfile.TemporaryDirectory(prefix="emitrace-postgresql-", dir=place, ignore_cleanup_errors=True) as folder:
        server = PostgreSQL(Path(folder), free_port(), durable=durable).prepare().start()
        try:
            yield server
        finally:
            server.kill()


@dataclass
class PostgreSQL:
    """One server; the user who runs it may not be root, so root lends it to ``nobody``.

    The folder must be one that user can reach: pytest's own are not.
    """

    folder: Path
    port: int
    durable: bool = False
    process: Process | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _template: str = ""

    def prepare(self) -> PostgreSQL:
        """Make the cluster, with a password for its one user."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        password = self.folder / "password"
        password.write_text(f"{PASSWORD}\n")
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            for path in (self.folder, password):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._run(
            "initdb", "-D", self.data, "-U", USER, "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip
        return self

    def start(self) -> PostgreSQL:
        """Start and wait until it takes connections."""
        settings = () if self.durable else SETTINGS
        options = [word for one in (*settings, f"listen_addresses={LOOPBACK}", f"unix_socket_directories={self.folder}")
                   for word in ("-c", one)]  # fmt: skip
        command = self._command("postgres", "-D", self.data, "-p", str(self.port), *options)
        process = Process("postgresql", command, self.folder / "server.log").start()
        self.process = process
        wait_until(lambda: self._ready() or not process.running, 30, "PostgreSQL to listen")
        if not process.running:
            raise AssertionError(f"PostgreSQL ended at once:\n{process.text()}")
        return self

    def stop(self) -> None:
        """End it, cutting every connection, as an administrator's fast shutdown does."""
        if self.process is not None and self.process.running:
            self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")
            self.process.stop()

    def kill(self) -> None:
        """End it at once, without writing anything more; its children go with it."""
        if self.process is not None and self.process.running:
            self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
            self.process.kill()

    @property
    def data(self) -> str:
        """The cluster's folder."""
        return str(self.folder / "data")

    @property
    def version(self) -> str:
        """Of the server."""
        return (Path(self.data) / "PG_VERSION").read_text(encoding="utf-8").strip()

    def url(self, database: str) -> str:
        """URL of a database, with the password in it."""
        return f"postgresql://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/{database}"

    def fresh(self, *, template: str = "template0", locale: str = "C") -> str:
        """URL of a new database: an empty one, or a copy of another."""
        name = f"books_{next(self._numbers)}"
        place = f"ENCODING 'UTF8' LOCALE '{locale}' " if template == "template0" else ""
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE {template} {place}STRATEGY = file_copy")
        return self.url(name)

    def books(self) -> str:
        """URL of new, empty books: a copy of a database whose tables were made once."""
        if not self._template:
            from collector.store.database import Database

            url = self.fresh()
            Database(url).close()
            self._template = url.rpartition("/")[2]
        return self.fresh(template=self._template)

    def drop(self, url: str) -> None:
        """Give a database back, whoever is still connected to it."""
        self.sql("postgres", f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def sql(self, database: str, *statements: str) -> None:
        """Do something as the administrator."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _ready(self) -> bool:
        if not accepts(self.port):
            return False
        return subprocess.run(
            self._command("pg_isready", "-h", LOOPBACK, "-p", str(self.port)), capture_output=True, check=False
        ).returncode == 0

    def _run(self, *words: str) -> None:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stdout + done.stderr

    def _command(self, program: str, *words: str) -> Sequence[str]:
        server = find_server()
        assert server is not None, "PostgreSQL is not installed (apt-get install postgresql); CI leaves nothing out"
        full = [str(Path(server).with_name(program)), *words]
        if os.geteuid() != 0:
            return full
        # shut down fast where the tests themselves are killed
        return ["setpriv", "--pdeathsig=INT", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *full]
