"""One chain of revisions makes the tables, on every database; older books come forward, newer ones are refused."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine, func, inspect, select, text
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from collector.books import claim_books, open_books
from collector.commands import app
from collector.config import Config, DatabaseTable, Settings
from collector.lock import LockedError, hold_lock
from collector.migrating import migrate_books
from collector.store import migrations
from collector.store.database import Database
from collector.store.migrations import FOLDER, NEWEST, SchemaError
from collector.store.refresh import dirty_cells
from collector.store.schema import about, inventories, items, metadata
from collector.store.soundness import faults_of_log, reading_file
from collector.store.tallies import count_anew, read_tallies
from protocols.errors import EmitraceError
from tests.postgresql import PASSWORD, PostgreSQL

OLD = Path(__file__).parents[1] / "data/books/schema-4.sql"
"""Books that a program of schema version 4 made before there were revisions."""


@pytest.fixture
def old(tmp_path: Path) -> Config:
    """A configuration whose books are those old ones."""
    config = Config(tmp_path / "collector.toml", Settings())
    config.file.write_text("")
    config.state_dir.mkdir()
    database = sqlite3.connect(config.state_dir / "books.sqlite")
    database.executescript(OLD.read_text(encoding="utf-8"))
    database.close()
    return config


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A program of the next schema version; its number."""
    folder = tmp_path / "revisions"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    number = NEWEST + 1
    (folder / "versions" / f"r{number:04}_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f'revision, down_revision = "{number:04}", "{NEWEST:04}"\n'
        'def upgrade():\n    op.add_column("agents", sa.Column("more", sa.Text(), server_default="yes"))\n'
    )
    monkeypatch.setattr(migrations, "FOLDER", folder)
    monkeypatch.setattr(migrations, "NEWEST", number)
    monkeypatch.setattr("collector.migrating.NEWEST", number)
    monkeypatch.setattr("collector.store.soundness.NEWEST", number)
    return number


def test_there_is_one_chain() -> None:
    """One first revision, one newest, and its number is the schema version that the program states."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(FOLDER))
    script = ScriptDirectory.from_config(config)
    chain = [int(one.revision) for one in script.walk_revisions()]

    assert [f"{NEWEST:04}"] == script.get_heads()
    assert list(range(NEWEST, migrations.FIRST - 1, -1)) == chain


def test_books_keep_whose_they_are(old: Config) -> None:
    """What was called origin, the fingerprint of the collector's key, is called collector now."""
    database = sqlite3.connect(old.state_dir / "books.sqlite")
    with database:
        database.execute("INSERT OR REPLACE INTO about (key, value) VALUES ('origin', ?)", ("ab" * 32,))
    database.close()
    migrate_books(old, lambda _done, _of: None, backed_up=False)

    with open_books(old) as books, pytest.raises(EmitraceError, match="belong to abab"):
        claim_books(books)


@pytest.mark.backends
def test_revisions_make_what_the_metadata_says(config: Config) -> None:
    """No table, column, type, index or key is in one and not in the other."""
    with open_books(config) as books, books.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})

        assert [] == compare_metadata(context, metadata)


def test_sqlite_tables_are_laid_out_as_the_metadata_says(config: Config) -> None:
    """Without row ids and with numbers that never come again where it says so: a comparison of columns sees neither."""
    layout = text("SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'")
    numbered = text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name")
    engine = create_engine("sqlite://")
    with open_books(config) as books, books.database.reading() as connection, engine.connect() as meant:
        metadata.create_all(meant)

        assert set(meant.execute(layout)) == set(connection.execute(layout)) - {("alembic_version", 0)}
        assert meant.execute(numbered).all() == connection.execute(numbered).all()
    engine.dispose()


def test_old_books_are_adopted(old: Config) -> None:
    """Whatever revisions came since, they come forward with every row, and what was sealed stays sealed."""
    before = migrate_books(old, lambda _done, _of: None, backed_up=False)
    with open_books(old) as books:
        with books.database.reading() as connection:
            assert str(NEWEST) == connection.scalar(select(about.c.value).where(about.c.key == "schema"))
            assert 3 == connection.scalar(select(func.count()).select_from(items))
            assert [] == faults_of_log(connection, deep=True)
            assert count_anew(connection) == read_tallies(connection)
            assert 1 == dirty_cells(connection)  # its hour is put on today's eight statuses of calibration
        with pytest.raises(IntegrityError, match="immutable"), books.database.writing() as connection:
            connection.execute(inventories.delete())

    assert (4, NEWEST) == (before.before, before.now)


def test_older_books_are_refused_until_they_are_migrated(old: Config, later: int) -> None:
    """The service says what to do; the command copies the books first, and what it copied is what they were."""
    with pytest.raises(SchemaError, match="run emitrace-collector migrate"), open_books(old):
        pass
    done = CliRunner().invoke(app, ["migrate", "--config", str(old.file)])
    again = CliRunner().invoke(app, ["migrate", "--config", str(old.file)])

    assert 0 == done.exit_code, done.output
    assert f"schema version 4 became {later}" in done.output
    assert "nothing to do" in again.output
    with open_books(old) as books, books.database.reading() as connection:
        assert "yes" == connection.exec_driver_sql("SELECT more FROM agents").scalar()
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    assert f"{later:04}" == revision
    copy = old.state_dir / "books-schema-4.sqlite"
    assert 0o600 == copy.stat().st_mode & 0o777
    with reading_file(copy) as connection:
        assert "4" == connection.scalar(select(about.c.value))
        assert "more" not in {one["name"] for one in inspect(connection).get_columns("agents")}


def test_a_migration_that_fails_leaves_the_books_as_they_were(old: Config, later: int) -> None:
    """Tables, version and rows are of one transaction."""
    broken = migrations.FOLDER / "versions" / f"r{later:04}_more.py"
    broken.write_text(broken.read_text() + '    raise RuntimeError("power cut")\n')
    with pytest.raises(RuntimeError, match="power cut"):
        migrate_books(old, lambda _done, _of: None, backed_up=False)

    with reading_file(old.state_dir / "books.sqlite") as connection:
        assert "4" == connection.scalar(select(about.c.value))
        assert "more" not in {one["name"] for one in inspect(connection).get_columns("agents")}


def test_books_in_use_are_not_migrated(old: Config, later: int) -> None:
    """While serve works on them nothing is changed under it."""
    with hold_lock(old.state_dir), pytest.raises(LockedError, match="Stop it first"):
        migrate_books(old, lambda _done, _of: None, backed_up=False)


@pytest.mark.postgresql
def test_on_a_server_a_dump_must_have_been_made(tmp_path: Path, postgresql: PostgreSQL, later: int) -> None:
    """Nothing can be copied from here, so the operator must say so; a failure there leaves everything, too."""
    url = postgresql.books()
    config = Config(tmp_path / "collector.toml", Settings(database=DatabaseTable(url=url)))
    config.state_dir.mkdir()
    with pytest.raises(SchemaError, match="pg_dump") as refused:
        migrate_books(config, lambda _done, _of: None, backed_up=False)
    done = migrate_books(config, lambda _done, _of: None, backed_up=True)
    with open_books(config) as books, books.database.reading() as connection:
        assert 0 == connection.exec_driver_sql("SELECT count(more) FROM agents").scalar()

    assert PASSWORD not in str(refused.value)
    assert (NEWEST, later, None) == (done.before, done.now, done.copy)


@pytest.mark.backends
def test_newer_books_are_refused(config: Config) -> None:
    """A program never works on tables it does not know, and never takes them back."""
    with open_books(config) as books, books.database.writing() as connection:
        connection.execute(about.update().where(about.c.key == "schema").values(value=str(NEWEST + 1)))
    with pytest.raises(SchemaError, match=f"version {NEWEST + 1}, this program knows {NEWEST}"), open_books(config):
        pass
    with pytest.raises(SchemaError, match="newer program"):
        migrate_books(config, lambda _done, _of: None, backed_up=True)


@pytest.mark.postgresql
def test_a_database_that_keeps_texts_in_another_way_is_refused(postgresql: PostgreSQL) -> None:
    """The error says how to make the database; nothing is made in it."""
    name = "latin"
    postgresql.sql("postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(EmitraceError, match="createdb --template=template0 --encoding=UTF8 --locale=C"):
        Database(postgresql.url(name))


@pytest.mark.postgresql
def test_a_wrong_password_is_not_printed(postgresql: PostgreSQL) -> None:
    """Neither it nor the URL that holds it."""
    wrong = URL.create("postgresql", "emitrace", "a-secret-of-mine", "127.0.0.1", postgresql.port, "postgres")
    with pytest.raises(EmitraceError, match="password authentication failed") as refused:
        Database(wrong)

    assert "a-secret-of-mine" not in str(refused.value)
