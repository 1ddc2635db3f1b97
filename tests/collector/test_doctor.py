from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from collector.books import open_books
from collector.clock import now_ms
from collector.config import Config
from collector.doctor.broker import look_at_broker
from collector.doctor.examine import examine
from collector.doctor.machine import look_at_files, look_at_service
from collector.doctor.results import Result
from collector.ingest.worker import commit_group
from collector.lock import hold_lock
from collector.store.agents import add_agent
from protocols.wire import topics
from tests.collector.edge import Edge, stream
from tests.collector.running import Collector, Line
from tests.services import Mosquitto, Spawn, find_program, free_port, wait_until

HOUR_MS = 3_600_000
CERTIFICATE = """schema = 1
[[certificates]]
id = "em-1-2026"
instrument = "em-1"
serial = "SN-em-1"
kind = "verification-certificate"
number = "DN-2026-0417"
laboratory = "Metrology institute"
performed_on = 2025-04-17
valid_until = 2027-04-16
result = "pass"
"""


@pytest.fixture
def collector(tmp_path: Path, spawn: Spawn, mosquitto: Mosquitto) -> Collector:
    """A configured collector on a real broker, with an administrator, not running."""
    one = Collector(tmp_path, spawn, mosquitto.port, mosquitto.username, mosquitto.password_file)
    one.configure()
    return one


@pytest.fixture
def quiet(tmp_path: Path, spawn: Spawn) -> Config:
    """A configuration whose broker and service are not there, with books of an agent that was just heard of."""
    edge = stream(2)
    config = Collector(tmp_path, spawn, free_port()).configure()
    with open_books(config) as books:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler house", now_ms())
        commit_group(books, [edge.message(n) for n in range(3)], now_ms())
    return config


ELSEWHERE = ("broker", "service", "pages", "certificates")
"""What is found in ``quiet`` anyway: no broker, no service, and no certificate."""


def findings(config: Config, *, deep: bool = False) -> dict[str, str]:
    """What is found in the books, by check."""
    found = [one for one in examine(config.file, now_ms(), deep=deep) if one.is_finding]
    assert {"broker", "service", "pages"} <= {one.check for one in found}
    return {one.check: one.seen for one in found if one.check not in ELSEWHERE}


def change(config: Config, *statements: str) -> None:
    """Do something to the books behind the program's back."""
    books = sqlite3.connect(config.state_dir / "books.sqlite")
    for statement in statements:
        books.execute(statement)
    books.commit()
    books.close()


def run_doctor(collector: Collector, *words: str) -> tuple[int, str]:
    """Exit code and what is said."""
    done = subprocess.run(collector.command("doctor", *words), capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.mosquitto
def test_a_healthy_collector_has_no_findings(collector: Collector, mosquitto: Mosquitto) -> None:
    """Running, signed in, heard of its agent, everything recomputed: exit 0, in words and in JSON, also deep."""
    edge = stream(3)
    (collector.folder / "certificates.toml").write_text(CERTIFICATE)
    (collector.folder / "state").chmod(0o700)
    collector.run("agents", "add", edge.public.hex(), "--name", "boiler house")
    collector.start()
    with Line(edge, mosquitto.port, mosquitto.username, mosquitto.password) as wire:
        wire.send(0, 1, 2, 3)
        wire.wait_for(3)
    subprocess.run(collector.command("certificates", "add", str(collector.folder / "certificates.toml")), check=False)
    wait_until(lambda: collector.get("comparisons")["waiting"] == 0, 20, "the recomputation")
    code, said = run_doctor(collector)
    deep, told = run_doctor(collector, "--deep", "--json")
    results = json.loads(told)

    assert 0 == code, said
    assert "all fine" in said
    assert mosquitto.password not in said + told
    assert 0 == deep, told
    assert 0 == results["findings"]
    assert {"configuration", "key", "state folder", "free space", "database pages", "schema", "evidence log", "healing",
            "tallies", "recomputation", "quarantine", "accounts", "certificates", "clock", "disk", "agents", "hours",
            "broker", "broker topics", "service", "pages", "password file", "profile"} == {
        one["check"] for one in results["results"]
    }  # fmt: skip


@pytest.mark.mosquitto
def test_all_findings_are_told_not_only_the_first(collector: Collector, mosquitto: Mosquitto) -> None:
    """Several faults at once: exit 1, and each says what to do."""
    mosquitto.kill()
    collector.password_file = mosquitto.password_file
    mosquitto.password_file.chmod(0o644)
    (collector.folder / "state").chmod(0o755)
    code, said = run_doctor(collector)

    assert 1 == code
    for words in ("mode 0644", "chmod 600", "mode 0755 lets others in", "none is registered", "cannot be reached",
                  "serve is not running", "no answer"):  # fmt: skip
        assert words in said
    assert said.count("->") == int(said.split(" looks, ")[1].split()[0])


@pytest.mark.parametrize(
    ("statement", "check", "words"),
    [
        ("UPDATE about SET value = '1' WHERE key = 'schema'", "schema", "schema version 1, this program knows"),
        ("DELETE FROM leaves WHERE position = 1", "evidence log", "leaves, but the last position says"),
        ("DELETE FROM frontier WHERE place = 0", "evidence log", "a frontier of"),
        ("UPDATE comparisons SET compared_ms = 0", "", ""),
        ("INSERT INTO comparisons SELECT id, agent_id, 0, 'x', 1 FROM items WHERE kind = 'batch' LIMIT 1",
         "recomputation", "1 batches differ"),
        ("INSERT INTO quarantine VALUES (9, x'00', 'a', 't', 'chain', 'd', 1, 1, 1, 1, x'00')",
         "quarantine", "1 chain"),
        ("UPDATE agents SET last_seen_ms = last_seen_ms - 7200000", "agents", "last heard of 120 minutes ago"),
        ("UPDATE agents SET last_seen_ms = NULL", "agents", "was never heard of"),
        ("UPDATE streams SET contiguous = 1", "agents", "1 items wait behind a gap after item 1"),
        ("UPDATE items SET received_ms = received_ms + 3600000", "clock", "before the newest item was received"),
        ("UPDATE items SET to_ms = received_ms + 3600000", "clock", "the newest batch ends later"),
        ("DELETE FROM users", "accounts", "0 entered"),
    ],
)  # fmt: skip
def test_books_are_looked_at(quiet: Config, statement: str, check: str, words: str) -> None:
    """One thing wrong in the books is one finding, by its name."""
    change(quiet, statement)
    found = findings(quiet)

    assert ([check] if check else []) == list(found)
    assert words in found.get(check, "")


def test_deep_hashes_every_leaf_and_counts_anew(quiet: Config) -> None:
    """What only reading everything can find is found with --deep, and not without."""
    change(quiet, "UPDATE leaves SET object_id = 'x' WHERE position = 0", "UPDATE tallies SET value = 7")
    shallow, deep = findings(quiet), findings(quiet, deep=True)

    assert {} == shallow
    assert "leaf 0 (audit x) has another hash" in deep["evidence log"]
    assert "items batch: 7 kept, 2 counted" in deep["tallies"]


def test_a_damaged_database_is_told_and_nothing_is_made_of_it(quiet: Config) -> None:
    """Pages overwritten: told by SQLite's own check; the other looks go on."""
    path = quiet.state_dir / "books.sqlite"
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 9] = b"\x5a" * (4096 * 6)
    path.write_bytes(data)
    found = {one.check for one in examine(quiet.file, now_ms(), deep=True) if one.is_finding}

    assert found & {"database", "database pages"}
    assert {"broker", "service"} <= found


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    """A folder, key and database that are not there are told, and are not there afterwards."""
    (tmp_path / "collector.toml").write_text(f"[broker]\nport = {free_port()}\n[web]\nport = {free_port()}\n")
    found = {one.check for one in examine(tmp_path / "collector.toml", now_ms(), deep=False) if one.is_finding}

    assert {"key", "state folder", "database", "broker", "service", "pages"} == found
    assert ["collector.toml"] == [path.name for path in tmp_path.iterdir()]


def test_every_fault_of_the_configuration_is_told(tmp_path: Path) -> None:
    """Each with its line; a missing file is one finding."""
    (tmp_path / "collector.toml").write_text("[broker]\nprot = 1\n[web]\nport = 99999\n")
    found = list(examine(tmp_path / "collector.toml", now_ms(), deep=False))
    missing = list(examine(tmp_path / "other.toml", now_ms(), deep=False))

    assert [True, True] == [one.is_finding for one in found]
    assert ["collector.toml:2", "collector.toml:4"] == [Path(one.where).name.split(": ")[0] for one in found]
    assert [("configuration", True)] == [(one.check, one.is_finding) for one in missing]


@pytest.fixture
def strict_broker(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    """A broker whose account may only do what the access list says."""
    program = find_program("mosquitto")
    assert program is not None, "mosquitto is not installed"
    started: list[Mosquitto] = []

    def start(access: str) -> Mosquitto:
        broker = Mosquitto(program, tmp_path / "strict", free_port()).prepare()
        (broker.folder / "access").write_text(f"user {broker.username}\n{access}\n")
        with (broker.folder / "mosquitto.conf").open("a") as file:
            file.write(f"acl_file {broker.folder / 'access'}\n")
        started.append(broker.start())
        return broker

    yield start
    for broker in started:
        broker.kill()


def look(config: Config, broker: Mosquitto, **settings: object) -> list[Result]:
    """What is said of a broker."""
    table = config.settings.broker.model_copy(update={
        "port": broker.port, "username": broker.username, "password_file": str(broker.password_file), **settings
    })  # fmt: skip
    changed = replace(config, settings=config.settings.model_copy(update={"broker": table}))
    return list(look_at_broker(changed, b"\x01" * 32))


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("access", "words"),
    [
        ("topic readwrite emitrace/v1/#", ""),
        ("topic read emitrace/v1/#", "what was written to emitrace/v1/collector/doctor did not come back"),
        ("topic write emitrace/v1/#", "did not come back"),
    ],
)
def test_rights_on_topics_are_tried(
    quiet: Config, strict_broker: Callable[[str], Mosquitto], access: str, words: str
) -> None:
    """A message of its own must come back: an account that may not write, or not read, is found."""
    found = [one for one in look(quiet, strict_broker(access)) if one.is_finding]

    assert (["broker topics"] if words else []) == [one.check for one in found]
    assert all(words in one.seen for one in found)


@pytest.mark.mosquitto
def test_a_wrong_password_is_told(quiet: Config, mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Reached, but not let in."""
    (tmp_path / "wrong").write_text("not it\n")
    said = look(quiet, mosquitto, password_file=str(tmp_path / "wrong"))

    assert ["broker"] == [one.check for one in said]
    assert "refuses to sign in" in said[0].seen


@pytest.mark.mosquitto
def test_another_collectors_key_is_told(quiet: Config, mosquitto: Mosquitto) -> None:
    """Agents that are told another key believe another collector."""
    with Line(Edge(), mosquitto.port, mosquitto.username, mosquitto.password) as wire:
        wire.client.publish(topics.COLLECTOR_KEY, b"\x02" * 32, qos=1, retain=True).wait_for_publish(10)
    said = {one.check: one for one in look(quiet, mosquitto)}

    assert said["broker key"].is_finding
    assert not said["broker topics"].is_finding


@pytest.mark.parametrize(("days", "finding"), [(400, False), (20, True), (-1, True)])
def test_an_authority_that_ends_is_told(quiet: Config, days: int, finding: bool) -> None:
    """Thirty days before it ends, and when it has ended."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    now = datetime.now(UTC)
    ca = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=30)).not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = quiet.file.parent / "ca.pem"
    path.write_bytes(ca.public_bytes(Encoding.PEM))
    table = quiet.settings.broker.model_copy(update={"tls_ca": str(path)})
    changed = replace(quiet, settings=quiet.settings.model_copy(update={"broker": table}))
    said = {one.check: one for one in look_at_files(changed)}

    assert finding == said["TLS authority"].is_finding


def test_clear_text_is_told(quiet: Config) -> None:
    """Pages and broker open to others without TLS."""
    web = quiet.settings.web.model_copy(update={"host": "0.0.0.0"})
    broker = quiet.settings.broker.model_copy(update={"host": "broker.invalid", "username": "u"})
    changed = replace(quiet, settings=quiet.settings.model_copy(update={"web": web, "broker": broker}))
    said = [one for one in (*look_at_service(changed), *look_at_broker(changed, None)) if "in the clear" in one.seen]

    assert ["pages", "broker"] == [one.check for one in said]


def test_stuck_hours_are_told(quiet: Config) -> None:
    """Hours that wait while a service holds the folder and does not make them."""
    with hold_lock(quiet.state_dir):
        said = [one for one in examine(quiet.file, now_ms(), deep=False) if one.check == "hours"]

    assert [True] == [one.is_finding for one in said]
    assert "none moved" in said[0].seen
