"""Two collectors on one PostgreSQL server: one is active, the other takes over, and nothing is written by both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from collector.books import Books, claim_books, open_books
from collector.config import Config, load_config
from collector.leader import Leader, NotLeadingError
from collector.lock import LockedError
from collector.migrating import migrate_books
from collector.store.database import Database
from collector.store.postgresql import APPLICATION, LEADER, WRITER
from collector.store.schema import about, items
from protocols.errors import EmitraceError
from tests.collector.edge import stream
from tests.collector.running import Collector, Line
from tests.postgresql import PASSWORD, PostgreSQL
from tests.services import Mosquitto, Spawn, wait_until

pytestmark = [pytest.mark.postgresql]

TAKE_OVER_S = 10.0


@pytest.fixture
def url(postgresql: PostgreSQL) -> Iterator[str]:
    """New books on the server."""
    made = postgresql.books()
    yield made
    postgresql.drop(made)


def end_leader(server: PostgreSQL, url: str) -> None:
    """Cut the session that holds the lock, as a lost connection does; it is gone when this returns."""
    server.sql(
        url.rpartition("/")[2],
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks JOIN pg_database d ON d.oid = database "  # noqa: S608
        f"WHERE locktype = 'advisory' AND classid = {APPLICATION} AND objid = {LEADER} "
        "AND datname = current_database()",
    )


def write(database: Database, value: str) -> None:
    """Write something."""
    with database.writing() as connection:
        connection.execute(about.delete().where(about.c.key == "test"))
        connection.execute(about.insert().values(key="test", value=value))


def test_only_who_holds_the_lock_writes(postgresql: PostgreSQL, url: str) -> None:
    """From the moment the lock's session is gone its holder is refused, at once and after another has taken it."""
    one, two = Database(url), Database(url)
    first, second = Leader(one), Leader(two)
    assert (True, False) == (first.take(), second.take())
    write(one, "first")
    with pytest.raises(NotLeadingError):
        write(two, "second")
    end_leader(postgresql, url)
    with pytest.raises(NotLeadingError):
        write(one, "first again")
    assert second.take()
    write(two, "second")
    with pytest.raises(NotLeadingError):
        write(one, "first again")
    with two.reading() as connection:
        assert "second" == connection.scalar(select(about.c.value).where(about.c.key == "test"))
    for leader, database in ((first, one), (second, two)):
        leader.give_up()
        database.close()


def test_what_was_begun_ends_before_the_next_one_writes(postgresql: PostgreSQL, url: str) -> None:
    """A transaction that proved the lock and then lost it commits first, or not at all; never after the next's."""
    one, two = Database(url), Database(url)
    first, second = Leader(one), Leader(two)
    assert first.take()
    with one.writing() as connection:
        connection.execute(about.insert().values(key="test", value="first"))
        end_leader(postgresql, url)
        assert second.take()
        with two.engine.connect() as waiting:
            turn = waiting.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({APPLICATION}, {WRITER})").scalar()
    write(two, "second")
    with one.reading() as connection:
        assert "second" == connection.scalar(select(about.c.value).where(about.c.key == "test"))
    assert turn is False
    for leader, database in ((first, one), (second, two)):
        leader.give_up()
        database.close()


def test_a_lost_session_is_taken_again_where_nobody_else_has(postgresql: PostgreSQL, url: str) -> None:
    """A server that was restarted finds the same collector active as before, and ``on_lost`` is not called."""
    database, lost = Database(url), []
    leader = Leader(database)
    assert leader.take()
    leader.keep(lambda: lost.append(1))
    end_leader(postgresql, url)

    def writes() -> bool:
        try:
            write(database, "again")
        except NotLeadingError:
            return False
        return True

    wait_until(writes, TAKE_OVER_S, "the lock to be taken again")
    leader.give_up()
    database.close()
    assert [] == lost


def test_a_standby_with_another_key_is_refused(tmp_path: Path, url: str) -> None:
    """Agents would believe none of its acknowledgements or checkpoints; the error says which key is wanted."""
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "c.toml").write_text(f'[database]\nurl = "{url}"\n')
    with open_books(_config(tmp_path / "one")) as books:
        claim_books(books)
        claim_books(books)
        origin = books.collector_id
    with pytest.raises(EmitraceError, match=r"log\.key.*is not there"), open_books(_config(tmp_path / "two")):
        raise AssertionError("opened without the log's key")
    shutil.copy(tmp_path / "one/state/log.key", tmp_path / "two/state/log.key")
    with open_books(_config(tmp_path / "two")) as books, pytest.raises(EmitraceError, match=f"belong to {origin}"):
        claim_books(books)


def test_books_of_an_active_collector_are_not_migrated(tmp_path: Path, url: str) -> None:
    """The lock keeps tables from being changed under it."""
    (tmp_path / "c.toml").write_text(f'[database]\nurl = "{url}"\n')
    database = Database(url)
    leader = Leader(database)
    assert leader.take()
    with pytest.raises(LockedError, match="a collector is active"):
        migrate_books(_config(tmp_path), lambda _done, _of: None, backed_up=True)
    leader.give_up()
    database.close()


@pytest.mark.e2e
@pytest.mark.mosquitto
def test_a_standby_takes_over_from_a_killed_collector(
    tmp_path: Path, spawn: Spawn, mosquitto: Mosquitto, url: str
) -> None:
    """Within 10 s of kill -9; what was sent meanwhile is committed once, and the killed one then stands by."""
    edge = stream(60)
    one, two = (_collector(tmp_path / name, spawn, mosquitto, url) for name in ("one", "two"))
    config = one.configure()
    (two.folder / "state").mkdir()
    for key in ("collector.key", "log.key"):
        shutil.copy(one.folder / "state" / key, two.folder / "state" / key)
    two.configure()
    one.run("agents", "add", edge.public.hex())
    one.start()
    standby = spawn("standby", two.command("serve"))
    wait_until(lambda: "standby" in standby.text(), 30, "the second to stand by")
    assert not two.answers()
    with Line(edge, mosquitto.port, mosquitto.username, mosquitto.password) as line:
        line.send(*range(10))
        line.wait_for(9)
        assert one.process is not None
        one.process.kill()
        line.send(*range(10, 20))
        wait_until(lambda: "broker-connected" in standby.text(), TAKE_OVER_S, "the standby to take over")
        wait_until(two.answers, 30, "its pages")
        line.send(*range(20, 40))
        line.wait_for(39, 60)
        again = spawn("again", one.command("serve"))
        wait_until(lambda: "standby" in again.text(), 30, "the first to stand by")
        line.send(*range(40, 60))
        line.wait_for(59, 60)
    with open_books(config) as books:
        assert (60, 60) == _items(books)
    assert again.running
    assert 0 == standby.stop()
    assert PASSWORD not in "".join(process.text(100_000) for process in (standby, again))


def _items(books: Books) -> tuple[int, int]:
    with books.database.reading() as connection:
        count = connection.scalar(select(func.count()).select_from(items))
        different = connection.scalar(select(func.count(items.c.sequence.distinct())))
    return int(count or 0), int(different or 0)


def _collector(folder: Path, spawn: Spawn, mosquitto: Mosquitto, url: str) -> Collector:
    folder.mkdir()
    return Collector(folder, spawn, mosquitto.port, mosquitto.username, mosquitto.password_file, database=url)


def _config(folder: Path) -> Config:
    return load_config(folder / "c.toml")
