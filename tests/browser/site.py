"""A collector with two days of a simulated plant: tape, replay and ingest by the programs, then `serve`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, update

from calibration.certificates import parse_certificates
from calibration.encoding import Kept
from calibration.events import Event, Point, What
from calibration.evidence import Document, Kind, Result
from calibration.instruments import Chain, Member, Part, Range
from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.alerts.worker import Watch
from collector.books import Books, open_books
from collector.calibration.entering import enter
from collector.clock import now_ms
from collector.config import Config
from collector.enrolling import answer_request, invite
from collector.hours.cells import HOUR_MS
from collector.store.calibration import instruments_known
from collector.store.certificates import add_certificate
from collector.store.checkpoints import newest_checkpoint
from collector.store.engagements import Terms, revise
from collector.store.evidence_files import add_file
from collector.store.findings import Said, add_answer, add_finding, revise_finding
from collector.store.hours import windows_stated
from collector.store.inventories import build_inventory, seal_inventory
from collector.store.log import tree_size
from collector.store.schema import agents
from collector.web.shown import instant
from protocols.enrolment import Request, account_hash
from protocols.wire.keys import public_bytes
from simulators.demo.site import certificates, plan_tables
from tests.collector.running import PASSWORD, Collector
from tests.e2e.history import History
from tests.e2e.rig import ask
from tests.services import Spawn, free_port, wait_until

HOURS = 48
PLAN = "demo-history-plan.toml"


def fill(folder: Path, spawn: Spawn) -> tuple[Collector, dict[str, object]]:
    """The collector, serving, and what its pages' addresses need: agent, first hour, versions.

    The books end with the hour before this one, so that the running month, the last day and the chart have
    something to show. One certificate is overdue, one instrument has none, one message is refused; version
    ``sealed`` is sealed, version ``open`` is not and reaches back before the first reading.
    """
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    history = History(folder, HOURS / 24, (end - timedelta(hours=HOURS)).isoformat(), 7, ("--timeouts", "0.01"))
    collector = Collector(folder, spawn, free_port())
    config = collector.configure()
    history.write()
    history.replay()
    history.ingest()
    _refuse_one(history)
    end_ms = history.start_ms + HOURS * HOUR_MS
    _keep_records(config, folder, history.start_ms, end_ms)
    collector.start()
    wait_until(lambda: collector.get("comparisons")["waiting"] == 0, 60, "the recomputation of every batch")
    day = instant(history.start_ms + HOURS * HOUR_MS // 2, ZoneInfo("Asia/Shanghai"), "%Y-%m-%d")
    facts = {
        "agent": history.agent_id, "year": day[:4], "second_ms": _second_window(config, history.agent_id),
        "sealed": 1, "open": 2, "from_ms": history.start_ms, "to_ms": end_ms,
        "day": day, "newest": _log_size(config) - 1,
    }  # fmt: skip
    return collector, facts


def _ask_to_be_enrolled(books: Books) -> None:
    """One agent waits to be confirmed, and an invitation is open."""
    key = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
    made = [invite(books, name, "site-1", 60, "admin", url="https://emitrace.example.org")[0] for name in ("3F", "4F")]
    account, nonce = account_hash("x", bytes(12)), bytes(16)
    asked = Request(public_bytes(key), made[0].secret, "site-1", account, "emitrace-agent 0.1.0", nonce)
    answer_request(books, asked, "192.0.2.7")


def _log_size(config: Config) -> int:
    with open_books(config) as books, books.database.reading() as connection:
        return tree_size(connection)


def _let_witness(connection: Connection, at_ms: int) -> None:
    """The agent says that it holds the newest checkpoint."""
    newest = newest_checkpoint(connection)
    assert newest is not None
    told = json.dumps({"log_checkpoint": newest.note.decode()})
    connection.execute(update(agents).values(status=told, last_seen_ms=at_ms))


def _second_window(config: Config, agent: str) -> int:
    """Where the second window of the counter of grid begins. [UTC ms]"""
    with open_books(config) as books, books.database.reading() as connection:
        found = [
            window.from_ms
            for _, digest, window in windows_stated(connection, agent, 0, 2**48, 200)
            if (plan := books.plans.of(connection, agent, digest)) and plan.sources[window.source].id == "grid"
            and window.input == 0
        ]
    return found[1]


def _keep_findings(connection: Connection, from_ms: int, to_ms: int) -> None:
    """An engagement with a finding that was answered and changed, and one that stands."""
    day = 24 * HOUR_MS
    of = Terms(
        "Verification of the demo works", "Independent Verification Ltd", "ISO 14064-1:2018; reasonable assurance; 5 %",
        ("demo-works/site-1",), from_ms - day, to_ms + day, to_ms + 400 * day, ("verifier",),
    )  # fmt: skip
    number = revise(connection, None, of, "admin", now_ms()).number
    first = Said("misstatement", "The flow of the boiler stack is 2 % below that of the crosscheck.", "/completeness")
    add_finding(connection, number, "verifier", first, now_ms())
    add_answer(connection, 1, "admin", "The transmitter was set anew; see its certificate.", now_ms())
    closed = Said(first.severity, f"{first.text}\nCleared by the certificate.", first.reference, "closed")
    revise_finding(connection, 1, "verifier", closed, now_ms())
    add_finding(connection, number, "verifier", Said("clarification", "Which cylinder was the span gas?"), now_ms())


def _keep_tests(connection: Connection, books: Books) -> None:
    """One meter with its limits, a chain, tests with points, a mistake that was superseded, and a scan."""
    planned = instruments_known(connection, books.plans)["em-1"]
    meter = replace(
        planned, regime_basis="JJG 596-2012, trade settlement", location="Substation 3", duty_holder="",
        range=Range(Decimal(0), Decimal(5000), "kW"),
    )  # fmt: skip
    picture = (Path(__file__).parent / "scan.png").read_bytes()
    scan = add_file(connection, picture, "scan.png", "image/png", now_ms(), "admin")
    today = datetime.now(UTC).date()

    def test(name: str, days: int, error: str, **more: Any) -> Event:
        day = today - timedelta(days=days)
        points = tuple(Point(Decimal(at), error=Decimal(e), unit="%") for at, e in ((5, error), (100, "0.1")))
        document = Document(Kind.VERIFICATION, f"DN-{name}", "Metrology institute", sha256=scan)
        fields: dict[str, Any] = {"valid_until": day + timedelta(days=365), "as_found": points} | more
        fields |= {"result": Result.PASS, "document": document}
        return Event(name, meter.id, meter.serial, What.VERIFICATION, day, **fields)

    records: list[Kept] = [
        meter, Chain("feeder", (Member(Part.METER, "em-1"), Member(Part.CURRENT_TRANSFORMER, "ct-1"))),
        test("v-1", 700, "0.2"), test("v-2", 330, "0.4"), test("v-3", 320, "-0.3", supersedes="v-2"),
        Event("r-1", meter.id, meter.serial, What.REPAIR, today - timedelta(days=340), reason="new display"),
        Event("c-1", meter.id, meter.serial, What.CALIBRATION, today - timedelta(days=10), result=Result.PASS,
              document=Document(Kind.CALIBRATION, "CAL-1")),
    ]  # fmt: skip
    enter(connection, books.plans, records, now_ms(), "admin")


def _refuse_one(history: History) -> None:
    """Take an item in that someone has changed: it goes into quarantine."""
    changed = history.folder / "changed"
    changed.mkdir()
    newest = max(path for path in history.items.iterdir() if path.suffix == ".batch")
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    (changed / newest.name).write_bytes(data)
    ask("emitrace-collector", "ingest", changed, *history.collector_config, accepted=[1])


def _keep_records(config: Config, folder: Path, from_ms: int, to_ms: int) -> None:
    """A second account, certificates and two inventory versions, as the commands would enter them."""
    plan = folder / PLAN
    plan.write_bytes((resources.files("simulators") / "scenarios" / PLAN).read_bytes())
    made = certificates(plan_tables(plan)["instruments"], datetime.now(UTC).date()).values()
    entered = parse_certificates("schema = 1\n\n" + "\n".join(made), "certificates.toml")
    with open_books(config) as books:
        register = Register(books.database)
        register.add("li.wei", Role.TECHNICIAN, PASSWORD, by="test")
        register.make_token("admin", "Grafana 3F", ("read", "metrics"), 90, by="test")
        _ask_to_be_enrolled(books)
        with books.database.writing() as connection:
            for certificate in entered:
                add_certificate(connection, books.plans, certificate, now_ms())
            _keep_tests(connection, books)
        for begin_ms in (from_ms, from_ms - 6 * HOUR_MS):
            build_inventory(books.database, books.plans, begin_ms, to_ms, "AR6", now_ms())
        with books.database.writing() as connection:
            seal_inventory(connection, books.log_key, 1, now_ms())
        register.add("verifier", Role.VERIFIER, PASSWORD, by="test")
        with books.database.writing() as connection:
            _keep_findings(connection, from_ms, to_ms)
            _let_witness(connection, now_ms())
        watch = Watch(books, lambda: True)
        for later_ms in (2 * HOUR_MS, 0):  # nobody is heard of for two hours, and is again
            watch.step(now_ms() + later_ms)
