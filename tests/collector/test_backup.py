from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from collector.accounts.roles import Role
from collector.accounts.sessions import Lifetime, open_session
from collector.accounts.users import add_user
from collector.backup import BOOKS, KEY, MANIFEST, BackupError, check_books, read_manifest, write_backup
from collector.books import Books, open_books
from collector.config import LOG_KEY, Config, Settings
from collector.evidence.container import ContainerWriter
from collector.ingest.statuses import read_status
from collector.ingest.worker import commit_group
from collector.lock import LockedError, hold_lock
from collector.restore import restore_backup
from collector.store.acks import missing_ranges
from collector.store.agents import add_agent
from collector.store.log import read_frontier
from protocols.messages import Ack
from protocols.wire import topics
from tests.collector.edge import START_MS, stream
from tests.collector.running import Collector, Line
from tests.services import Mosquitto, Spawn, wait_until

AT_ONCE = 32
"""How many items an agent sends for one request."""


def silent(_done: int, _of: int) -> None:
    """No progress."""


@pytest.fixture
def archive(config: Config, tmp_path: Path) -> Path:
    """A backup, with its key, of books with a stream of five items; the state folder is gone."""
    config.file.write_text('[broker]\nhost = "127.0.0.1"\n')
    edge = stream(4)
    with open_books(config) as books:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler house", START_MS)
            add_user(connection, "admin", Role.ADMIN, "a hash", must_change=False, at_ms=START_MS)
            open_session(connection, "admin", "127.0.0.1", "a browser", Lifetime(3_600_000, 60_000), START_MS)
        commit_group(books, [edge.message(n) for n in range(5)], START_MS)
        write_backup(books, tmp_path / "books.backup", START_MS, silent, with_key=True)
    shutil.rmtree(config.state_dir)
    return tmp_path / "books.backup"


def answer_resends(wire: Line, upto: int, answered: int = 0) -> None:
    """Do as an agent does: send what is asked for, a bounded number at a time, until everything is acknowledged."""

    def healed() -> bool:
        nonlocal answered
        while answered < len(wire.resends):
            ranges = wire.resends[answered].ranges
            answered += 1
            wire.send(*[n for first, last in ranges for n in range(first, last + 1)][:AT_ONCE])
        return any(ack.contiguous >= upto for ack in wire.acks)

    wait_until(healed, 60, f"the stream to heal up to {upto}")


@pytest.mark.mosquitto
@pytest.mark.parametrize("hint", ["status", "next item"])
def test_a_restored_collector_is_healed_by_resend(
    tmp_path: Path, spawn: Spawn, mosquitto: Mosquitto, hint: str
) -> None:
    """Backed up under live ingest and restored, it asks for what it had acknowledged since: nothing lost or doubled."""
    collector = Collector(tmp_path, spawn, mosquitto.port, mosquitto.username, mosquitto.password_file)
    config = collector.configure()
    edge = stream(60)
    collector.run("agents", "add", edge.public.hex(), "--name", "boiler house")
    collector.start()
    assert collector.process is not None
    archive = tmp_path / "books.backup"
    with Line(edge, mosquitto.port, mosquitto.username, mosquitto.password) as wire:
        wire.send(*range(10))
        wire.wait_for(9)
        sender = threading.Thread(target=wire.send, args=tuple(range(10, 40)))
        sender.start()
        collector.run("backup", "--out", str(archive))
        sender.join()
        wire.send(*range(40, 60))
        wire.wait_for(59)
        assert 0 == collector.process.stop()
        held = read_manifest(archive).books.streams[0].contiguous
        kept = config.state_dir.rename(tmp_path / "lost")
        config.state_dir.mkdir(mode=0o700)
        for name in (KEY, LOG_KEY):
            shutil.copy(kept / name, config.state_dir / name)
        said = restore(archive, config.state_dir)
        wire.acks.clear()
        wire.resends.clear()

        collector.start()
        if hint == "status":
            told = f'{{"stream": "{edge.stream_id.hex()}", "acknowledged": 59}}'
            wire.client.publish(topics.status(edge.agent_id), told.encode(), qos=1, retain=True)
        else:
            wire.send(60)
        answer_resends(wire, 59)
        wire.send(60)
        wire.wait_for(60)
        assert 9 <= held < 40
        assert (held + 1, 59) == wire.resends[0].ranges[0]
        assert f"stream {edge.stream_id.hex()[:8]} up to item {held}" in said
    wait_until(lambda: collector.get("comparisons")["waiting"] == 0, 30, "the recomputation")
    items = collector.get(f"items?agent={edge.agent_id}")["items"]
    windows = collector.get(f"windows?agent={edge.agent_id}&limit=100000")["windows"]
    slots = collector.get(f"slots?agent={edge.agent_id}")["slots"]

    assert [*range(61)] == sorted(item["sequence"] for item in items)
    assert {"placed"} == {item["state"] for item in items}
    assert sum(len(batch.windows) for batch in edge.batches) == len(windows)
    assert sum(s.count for b in edge.batches for s in b.slots) == sum(row["count"] for row in slots)
    assert (60, 0) == tuple(collector.get("comparisons")[name] for name in ("equal", "different"))


def restore(archive: Path, state_dir: Path, code: int = 0) -> str:
    """What the command says."""
    command = [sys.executable, "-m", "collector", "restore", str(archive), "--state-dir", str(state_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert code == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_archive_is_private_and_names_what_it_holds(books: Books, tmp_path: Path) -> None:
    """Mode 0600, no draft beside it, the key only where asked for, and the log's size and root as in the books."""
    books.config.file.write_text('[database]\nurl = ""  # not postgresql://me:hunter2@db\n')
    edge = stream(2)
    with books.database.writing() as connection:
        add_agent(connection, edge.public, "boiler house", START_MS)
    commit_group(books, [edge.message(n) for n in range(3)], START_MS)
    told: list[tuple[int, int]] = []
    bare, full = tmp_path / "bare.backup", tmp_path / "full.backup"
    before = {path.name for path in tmp_path.iterdir()}

    manifest = write_backup(books, bare, START_MS, lambda done, of: told.append((done, of)), with_key=False)
    write_backup(books, full, START_MS, silent, with_key=True)

    with books.database.reading() as connection:
        tree = read_frontier(connection)
    assert {"bare.backup", "full.backup"} == {path.name for path in tmp_path.iterdir()} - before
    assert [0o600, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in (bare, full)]
    assert (tree.size, tree.root.hex(), books.collector_id) == (
        manifest.books.tree_size, manifest.books.root, manifest.collector
    )  # fmt: skip
    assert [("boiler house", 2, edge.at_ms)] == [(s.name, s.contiguous, s.to_ms) for s in manifest.books.streams]
    assert told[-1][0] == told[-1][1] > 0
    with zipfile.ZipFile(bare) as one, zipfile.ZipFile(full) as other:
        assert [BOOKS, "collector.toml", MANIFEST] == one.namelist()
        assert [BOOKS, KEY, "collector.toml", LOG_KEY, MANIFEST] == other.namelist()
        assert b"hunter2" not in one.read("collector.toml")


def test_a_backup_comes_back_whole(archive: Path, config: Config, tmp_path: Path) -> None:
    """Books and key stand in the new folder, private, with the same log; a collector opens them as its own."""
    target = tmp_path / "new" / "state"
    manifest, has_key = restore_backup(archive, target)

    assert has_key
    assert manifest.books == check_books(target / BOOKS)
    assert [0o600, 0o600] == [stat.S_IMODE((target / name).stat().st_mode) for name in (BOOKS, KEY)]
    target.rename(config.state_dir)
    with open_books(config) as books, books.database.reading() as connection:
        assert (manifest.collector, manifest.books.tree_size) == (books.collector_id, read_frontier(connection).size)
        assert 0 == connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar_one()
        assert 1 == connection.exec_driver_sql("SELECT count(*) FROM users").scalar_one()


def test_without_its_key_restore_says_what_is_missing(archive: Path, config: Config, tmp_path: Path) -> None:
    """An archive without the key restores the books and names the fingerprint that agents expect."""
    restore_backup(archive, config.state_dir)
    with open_books(config) as books:
        bare = tmp_path / "bare.backup"
        write_backup(books, bare, START_MS, silent, with_key=False)
        origin = books.collector_id
    said = restore(bare, tmp_path / "other")

    assert f"put the key with fingerprint {origin}" in said
    assert "comes again by itself" in said
    assert not (tmp_path / "other" / KEY).exists()


def test_nothing_is_overwritten(archive: Path, tmp_path: Path) -> None:
    """A folder with anything in it is refused and left as it is; so is one whose key belongs to other books."""
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    other = tmp_path / "other"
    with open_books(Config(tmp_path / "x" / "collector.toml", Settings())) as books:
        other.mkdir()
        shutil.copy(books.config.key_file, other / KEY)

    assert "holds notes.txt" in restore(archive, full, 2)
    assert "these books belong to" in restore(archive, other, 2)
    assert (["notes.txt"], [KEY]) == tuple(
        sorted(path.name for path in folder.iterdir() if path.name != "serve.lock") for folder in (full, other)
    )


def test_a_folder_in_use_is_refused(archive: Path, tmp_path: Path) -> None:
    """While a service holds the folder nothing is restored into it."""
    target = tmp_path / "busy"
    target.mkdir()
    with hold_lock(target), pytest.raises(LockedError, match="serve is running on it"):
        restore_backup(archive, target)

    assert not (target / BOOKS).exists()


@pytest.mark.parametrize("name", [BOOKS, KEY, "collector.toml", MANIFEST])
def test_a_damaged_archive_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    """One byte changed in any member: refused before anything is written."""
    with zipfile.ZipFile(archive) as held:
        start = held.getinfo(name).header_offset + 30 + len(name)
    data = bytearray(archive.read_bytes())
    data[start + 10] ^= 1
    archive.write_bytes(data)

    with pytest.raises(BackupError, match=name):
        restore_backup(archive, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A missing file, an empty one and some other zip: one sentence, exit 2."""
    (tmp_path / "empty").touch()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("hello", "there")
    for name in ("missing", "empty", "other.zip"):
        said = restore(tmp_path / name, tmp_path / "new", 2)
        assert name in said
        assert "Traceback" not in said


def test_a_member_exchanged_with_its_digest_is_refused(archive: Path, tmp_path: Path) -> None:
    """An archive put together anew around other books contradicts its own manifest."""
    work = tmp_path / "work"
    with zipfile.ZipFile(archive) as held:
        held.extractall(work)
    books = sqlite3.connect(work / BOOKS)
    books.execute("UPDATE agents SET name = 'other'")
    books.commit()
    books.close()
    rebuilt = tmp_path / "rebuilt"
    with rebuilt.open("w+b") as file:
        writer = ContainerWriter(file)
        for name in (BOOKS, KEY, "collector.toml", MANIFEST):
            writer.add(name, [(work / name).read_bytes()])
        writer.close()

    with pytest.raises(BackupError, match=r"not what its manifest says: books\.sqlite"):
        restore_backup(rebuilt, tmp_path / "new")


def test_books_that_contradict_their_log_are_not_backed_up(books: Books, tmp_path: Path) -> None:
    """A leaf changed in the database is found before the archive gets its name."""
    books.config.file.write_text("")
    edge = stream(1)
    with books.database.writing() as connection:
        add_agent(connection, edge.public, "", START_MS)
        connection.exec_driver_sql("UPDATE leaves SET object_id = 'another' WHERE position = 0")

    with pytest.raises(BackupError, match=r"leaf 0 .* has another hash than its content"):
        write_backup(books, tmp_path / "out.backup", START_MS, silent, with_key=False)
    assert [] == [path.name for path in tmp_path.iterdir() if "out.backup" in path.name]


def test_what_was_acknowledged_once_counts_as_missing() -> None:
    """Up to a head the agent states, what is not here is missing; what waits ahead is not."""
    ack = Ack(b"s" * 16, 10, ((12, 13), (20, 20)))

    assert ((11, 11), (14, 19)) == missing_ranges(ack, 64)
    assert ((11, 11), (14, 19), (21, 25)) == missing_ranges(ack, 64, 25)
    assert ((11, 11), (14, 19)) == missing_ranges(ack, 64, 20)
    assert ((11, 11),) == missing_ranges(ack, 1, 25)


@pytest.mark.parametrize(
    "status",
    ["", "[]", "{}", '{"stream": "00", "acknowledged": 3}', '{"stream": "%s"}', '{"stream": "%s", "acknowledged": "3"}',
     '{"stream": "%s", "acknowledged": 9223372036854775808}', '{"stream": "%s", "acknowledged": true}',
     '{"stream": 3, "acknowledged": 3}', '{"phase": "offline"}', "\xff"],
)  # fmt: skip
def test_a_status_that_states_no_head_asks_for_nothing(status: str) -> None:
    """The status is unsigned and from outside: anything but a stream and a number is passed over."""
    read = read_status(status.replace("%s", "07" * 16).encode("latin-1"))

    assert read is None or read.acknowledged is None


def test_a_status_states_its_head() -> None:
    """Stream and last acknowledged sequence."""
    read = read_status(b'{"stream": "%s", "acknowledged": 3}' % (b"07" * 16))

    assert read is not None
    assert (b"\x07" * 16, 3) == read.acknowledged

