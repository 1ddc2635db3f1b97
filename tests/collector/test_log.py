from __future__ import annotations

import base64
import json
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.collector.edge import stream
from tests.collector.running import PASSWORD, Collector, Line, hidden
from tests.services import LOOPBACK, Mosquitto, Spawn, accepts, free_port, wait_until

WRONG = "not-the-password-9876"


def logging_as(collector: Collector, form: str) -> None:
    """Let it say everything, in a form."""
    path = collector.folder / "collector.toml"
    path.write_text(f'{path.read_text()}[log]\nlevel = "debug"\nformat = "{form}"\n')


def batter(address: str) -> list[str]:
    """Requests that succeed, are refused and break, with secrets wherever a client may put them; the secrets."""
    secrets = [PASSWORD, WRONG, "query-secret-1", "path-secret-2", "body-secret-3"]
    with httpx.Client(base_url=address, timeout=20) as client:
        token = hidden(client.get("/login?token=query-secret-1").text)["token"]
        client.post("/login", data={"username": "admin", "password": WRONG, "token": token})
        client.post("/login", data={"username": "admin", "password": PASSWORD, "token": token})
        client.get("/")
        client.get("/api/v1/hours", params={"password": "query-secret-1", "from_ms": "x"})
        client.post("/api/v1/inventories", json={"password": "body-secret-3"})
        client.get("/path-secret-2/unknown")
        client.request("BREW", "/")
        secrets += [token, *client.cookies.values()]
    for user, password in (("admin", PASSWORD), ("admin", WRONG)):
        httpx.get(f"{address}/api/v1/agents", auth=(user, password))
        httpx.get(f"{address}/api/v1/log?key=query-secret-1", auth=(user, password))
        secrets.append(base64.b64encode(f"{user}:{password}".encode()).decode())
    httpx.get(f"{address}/api/v1/agents", headers={"Authorization": "Basic !!path-secret-2"})
    return secrets


@pytest.mark.mosquitto
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_ever_said(tmp_path: Path, spawn: Spawn, mosquitto: Mosquitto, form: str) -> None:
    """At debug, through requests of every outcome, a broker that is lost, and books that break: not one secret."""
    collector = Collector(tmp_path, spawn, mosquitto.port, mosquitto.username, mosquitto.password_file)
    config = collector.configure()
    edge = stream(1)
    collector.run("agents", "add", edge.public.hex())
    logging_as(collector, form)
    collector.start()
    process = collector.process
    assert process is not None
    with Line(edge, mosquitto.port, mosquitto.username, mosquitto.password) as wire:
        wire.send(0, 1)
        wire.wait_for(1)
    secrets = [*batter(collector.address), mosquitto.password]
    mosquitto.kill()
    wait_until(lambda: "broker-lost" in process.text(10**9), 20, "the broker to be missed")
    with sqlite3.connect(config.state_dir / "books.sqlite") as books:
        books.execute("DROP TABLE quarantine")
    books.close()
    broken = httpx.get(f"{collector.address}/api/v1/quarantine?token=query-secret-1", auth=("admin", PASSWORD))
    assert 0 == process.stop()
    said = process.text(10**9)

    assert 500 == broken.status_code
    assert "no such table: quarantine" in said
    assert "/api/v1/quarantine" in said
    assert [] == [secret for secret in secrets if secret in said]


def test_a_request_is_one_line(tmp_path: Path, spawn: Spawn) -> None:
    """Method, template of the route, status, time and user; JSON that a program reads line by line, times in UTC."""
    collector = Collector(tmp_path, spawn, free_port())
    collector.configure()
    logging_as(collector, "json")
    collector.start()
    assert collector.process is not None
    httpx.get(f"{collector.address}/api/v1/items/77/bytes", auth=("admin", PASSWORD))
    httpx.get(f"{collector.address}/unknown/78", auth=("admin", PASSWORD))
    collector.process.stop()
    lines = [json.loads(line) for line in collector.process.text(10**9).splitlines()]
    requests = [one for one in lines if one["event"] == "request" and "health" not in one["route"]]

    assert ("GET", "/api/v1/items/{item}/bytes", 404, "admin") == tuple(
        requests[0][name] for name in ("method", "route", "status", "user")
    )
    assert [404, 404] == [one["status"] for one in requests]
    assert "78" not in requests[1]["route"]
    assert all(one["ms"] > 0 and one["level"] == "info" for one in requests)
    ages = [(datetime.now(UTC) - datetime.fromisoformat(one["time"])).total_seconds() for one in lines]
    assert all(0 <= age < 120 for age in ages)
    assert "started" == lines[0]["event"]
    assert "stopped" == lines[-1]["event"]


def test_a_text_line_says_when_in_utc(tmp_path: Path, spawn: Spawn) -> None:
    """Time with Z, level, logger, event."""
    collector = Collector(tmp_path, spawn, free_port())
    collector.configure()
    collector.start()
    assert collector.process is not None
    collector.process.stop()
    first = collector.process.text(10**9).splitlines()[0]
    at, said = first[:24], first[24:]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at)
    assert re.match(r" INFO collector\.service started collector=[0-9a-f]{64} ", said)


@pytest.mark.parametrize("where", ["main", "thread"])
def test_what_nobody_caught_is_redacted_too(where: str) -> None:
    """Text and traceback of an exception that ends a thread or the program go through the log."""
    code = (
        "import threading\nfrom collector.log import keep_secret, start_logging\n"
        "start_logging('info')\nkeep_secret('hunter2-broker')\n"
        "def fail():\n    raise ValueError('cannot reach mqtt://me:other-secret@host with hunter2-broker')\n"
        + ("fail()\n" if where == "main" else "t = threading.Thread(target=fail); t.start(); t.join()\n")
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "uncaught seen='ValueError: cannot reach mqtt://me:***@host with ***'" in done.stderr
    assert "ValueError: cannot reach mqtt://me:***@host with ***" in done.stderr.splitlines()[-1]
    assert (1 if where == "main" else 0) == done.returncode


@pytest.mark.parametrize("url", ["postgresql://user:hunter2@db/x", "sqlite://user:hunter2@host/x", "://me:hunter2@x"])
def test_a_password_in_the_database_url_is_not_printed(tmp_path: Path, url: str) -> None:
    """Neither by a command that refuses it nor by the one that prints the configuration."""
    (tmp_path / "collector.toml").write_text(f'[database]\nurl = "{url}"\n')
    for command in (["check-config"], ["agents", "list"]):
        done = subprocess.run(
            [sys.executable, "-m", "collector", *command, "--config", str(tmp_path / "collector.toml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "hunter2" not in done.stdout + done.stderr
        assert done.stdout + done.stderr


def test_a_second_service_on_the_same_books_is_refused(tmp_path: Path, spawn: Spawn) -> None:
    """Exit 3 and one sentence, even on another port; the first goes on."""
    collector = Collector(tmp_path, spawn, free_port())
    collector.configure()
    collector.start()
    path = tmp_path / "collector.toml"
    other = free_port()
    path.write_text(re.sub(r"(\[web\]\nport = )\d+", rf"\g<1>{other}", path.read_text()))
    second = subprocess.run(collector.command("serve"), capture_output=True, text=True, check=False, timeout=60)

    assert 3 == second.returncode
    assert "serve is running on it. Stop it first." in second.stderr
    assert "Traceback" not in second.stderr
    assert accepts(collector.web_port, LOOPBACK)
