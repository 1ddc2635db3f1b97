from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.books import Books, open_books
from collector.config import load_config
from collector.store.agents import add_agent
from collector.store.audit import Actor, Filter, Outcome, Who, acting, entries, record
from collector.store.schema import audit, leaves
from collector.store.soundness import faults_of_log
from protocols.wire.cbor import decode
from tests.collector.running import PASSWORD, Collector, sign_in

Row = tuple[str, str, str, str, str, str]
LI = Actor(Who.ACCOUNT, "li.wei", "192.0.2.9")


def seen(folder: Path) -> list[Row]:
    """Every entry, oldest first: kind, who, action, object, outcome, address."""
    with open_books(load_config(folder / "collector.toml")) as books, books.database.reading() as connection:
        found = entries(connection, Filter(), 1000)[::-1]
    return [(one.kind, one.who, one.action, one.object, one.outcome, one.address) for one in found]


@pytest.mark.backends
def test_an_entry_is_a_leaf_of_the_log(books: Books) -> None:
    """Its document holds all that is shown and has the digest that the log has under its id; the log stays sound."""
    with books.database.writing() as connection, acting(LI):
        record(connection, "account-added", "wang", 1_000, detail="manager")
        add_agent(connection, bytes(32), "hall 3", 2_000)
    with books.database.reading() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.position)).all()
        logged = {row.object_id: row for row in connection.execute(select(leaves).where(leaves.c.kind == "audit"))}
        faults = faults_of_log(connection, deep=True)

    assert [("account-added", "wang", 0), ("agent-added", hashlib.sha256(bytes(32)).hexdigest(), 2)] == [
        (row.action, row.object, row.position) for row in rows
    ]
    first = [rows[0].id, 1_000, "account", "li.wei", "192.0.2.9", "account-added", "wang", "done", "manager"]
    assert first == decode(rows[0].document)
    assert all(hashlib.sha256(row.document).digest() == logged[row.id].object_digest for row in rows)
    assert [row.position for row in rows] == [logged[row.id].position for row in rows]
    assert [] == faults


@pytest.mark.backends
def test_the_database_refuses_to_change_the_trail(books: Books) -> None:
    """Whoever opens the file can neither change, remove nor replace an entry as long as the triggers stand."""
    with books.database.writing() as connection:
        record(connection, "sign-in", "wang", 1_000)
    statements = ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit", "INSERT INTO audit SELECT * FROM audit"]
    if books.database.engine.dialect.name == "sqlite":
        statements.append("REPLACE INTO audit SELECT position + 1, id, 1, '', '', '', '', '', '', '', x'' FROM audit")
    else:
        statements.append("TRUNCATE audit")
    for statement in statements:
        with pytest.raises(IntegrityError, match="only ever added to"), books.database.writing() as connection:
            connection.exec_driver_sql(statement)
    with books.database.reading() as connection:
        assert ["wang"] == [one.object for one in entries(connection, Filter(), 10)]


@pytest.mark.backends
def test_what_fails_is_not_entered(books: Books) -> None:
    """The entry is in the transaction of the change: where that is undone, nothing of it was done."""

    def fail() -> None:
        with books.database.writing() as connection:
            record(connection, "account-added", "wang", 1_000)
            raise KeyError("undone")

    with pytest.raises(KeyError):
        fail()
    with books.database.reading() as connection:
        assert [] == entries(connection, Filter(), 10)
        assert [] == connection.execute(select(leaves)).all()


@pytest.mark.backends
def test_entries_are_filtered(books: Books) -> None:
    """By who, action, a part of the object (signs of LIKE are signs) and time."""
    with books.database.writing() as connection:
        for at_ms, of in ((1_000, "inventory/1"), (2_000, "inventory/2"), (3_000, "100%")):
            record(connection, "inventory-built", of, at_ms, by=LI)
        record(connection, "sign-in", "wang", 4_000, outcome=Outcome.REFUSED)
    asked = [
        Filter(who="li.wei"), Filter(action="sign-in"), Filter(object="entory/"), Filter(object="%"),
        Filter(from_ms=2_000, to_ms=4_000), Filter(who="nobody"),
    ]  # fmt: skip
    with books.database.reading() as connection:
        found = [[one.at_ms for one in entries(connection, one, 10)] for one in asked]
        page = [one.at_ms for one in entries(connection, Filter(), 2, before=2)]

    assert [[3_000, 2_000, 1_000], [4_000], [2_000, 1_000], [3_000], [3_000, 2_000], []] == found
    assert [2_000, 1_000] == page


@pytest.mark.usefixtures("quick_hashes")
def test_a_running_collector_enters_who_did_what(running: Collector) -> None:
    """Commands, sign-ins and failures, changes on pages, scripts and exports, each with who and from where."""
    before = len(seen(running.folder))
    running.run("user", "add", "wang", "--role", "manager", "--password-file", str(secret(running.folder)))
    with httpx.Client(base_url=running.address) as client:
        assert 401 == sign_in(client, "wang", "a-wrong-password").status_code
        assert 401 == sign_in(client, "my-typed-password", "x").status_code
    with running.browser("admin") as client:
        token = client.cookies["emitrace_session"]
        csrf = {"csrf": hashlib.sha256(b"form:" + token.encode()).hexdigest()}
        client.post("/accounts/wang/disable", data=csrf)
        client.post("/logout", data=csrf)
    auth = ("manager", PASSWORD)
    for _ in range(2):
        assert 200 == httpx.get(f"{running.address}/api/v1/log", auth=auth).status_code
    assert 401 == httpx.get(f"{running.address}/api/v1/log", headers={"Authorization": "Bearer x"}).status_code
    file = httpx.get(f"{running.address}/audit?format=csv&action=account-disabled", auth=auth)

    here = "127.0.0.1"
    found = seen(running.folder)[before:]
    assert ("command", "account-added", "wang", "done", "") == (found[0][0], *found[0][2:])
    assert [
        ("stranger", "wang", "sign-in", "wang", "refused", here),
        ("stranger", "unknown", "sign-in", "unknown", "refused", here),
        ("account", "admin", "sign-in", "admin", "done", here),
        ("account", "admin", "account-disabled", "wang", "done", here),
        ("account", "admin", "sign-out", "admin", "done", here),
        ("account", "manager", "sign-in", "manager", "done", here),
        ("stranger", "unknown", "sign-in", "unknown", "refused", here),
        ("account", "manager", "table-exported", "audit-trail.csv", "done", here),
    ] == found[1:]
    lines = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert ["account", "admin", here, "account-disabled", "wang", "done", ""] == lines[-1][2:]
    kept = (running.folder / "state" / "books.sqlite").read_bytes()
    assert not any(word in kept for word in (b"my-typed-password", b"a-wrong-password", PASSWORD.encode()))


def test_only_those_who_may_see_the_trail(running: Collector) -> None:
    """A technician does not; a time that is none is said."""
    running.add_users(Role.TECHNICIAN)
    asked = f"{running.address}/audit"

    assert 403 == httpx.get(asked, auth=("technician", PASSWORD)).status_code
    assert 422 == httpx.get(f"{asked}?from=yesterday", auth=("manager", PASSWORD)).status_code


def test_whoever_floods_with_wrong_tokens_is_braked(running: Collector) -> None:
    """After a few they must wait, and leave no more entries; a good token still passes from the same address."""
    with open_books(load_config(running.folder / "collector.toml")) as books:
        good, _ = Register(books.database).make_token("manager", "good", ["read"], 1, by="test")
    before = len(seen(running.folder))
    with httpx.Client(base_url=running.address) as client:
        said = [
            client.get("/api/v1/log", headers={"Authorization": f"Bearer {word}"}).status_code
            for word in (*("wrong" for _ in range(12)), good)
        ]

    assert {401, 429} == set(said[:12])
    assert 200 == said[12]
    assert said.count(401) == len(seen(running.folder)) - before


def secret(folder: Path) -> Path:
    """A file with the common password."""
    file = folder / "password"
    file.write_text(f"{PASSWORD}\n")
    return file
