"""What a person must look after is found, told once by each way, again where nobody answers, and ends by itself."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from sqlalchemy import delete, insert, update
from typer.testing import CliRunner

from calibration.instruments import Instrument
from collector.alerts.conditions import DAY_MS, MINUTE_MS, calibration_conditions, conditions, disk_condition
from collector.alerts.model import Kind
from collector.alerts.news import News
from collector.alerts.ways import is_quiet, ways_of
from collector.alerts.webhook import SIGNATURE, signature
from collector.alerts.words import sentence
from collector.alerts.worker import HOUR_MS, Watch
from collector.books import Books, open_books
from collector.calibration.overview import standings
from collector.commands import app
from collector.config import AlertsTable, Config, load_config
from collector.ingest.worker import commit_group
from collector.store import quarantine
from collector.store.agents import add_agent
from collector.store.alerts import acknowledge_alert, open_alerts, past_alerts, untold
from collector.store.calibration import add_record
from collector.store.decisions import record_decision
from collector.store.schema import agents, comparisons, dirty_hours, items
from collector.web.language import Words
from protocols.errors import EmitraceError
from protocols.plan.model import Regime
from protocols.wire import topics
from tests.calibration.happenings import happened
from tests.certificates import certify, make_ca, write_key
from tests.collector.edge import START_MS, Edge, stream
from tests.services import LOOPBACK, free_port

PASSWORD = "a mail password"
SECRET = "a webhook secret"


class Mailbox:
    """What the mail server took."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = False

    async def handle_DATA(self, _server: object, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Keep a mail, or refuse it."""
        if self.refuses:
            return "451 try again later"
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


def let_in(_server: object, _session: Session, _envelope: Envelope, _way: str, given: object) -> AuthResult:
    """Whether name and password are right."""
    good = isinstance(given, LoginPassword) and (given.login, given.password) == (b"emitrace", PASSWORD.encode())
    return AuthResult(success=good)


@contextmanager
def mail_server(context: ssl.SSLContext | None) -> Iterator[tuple[Mailbox, int]]:
    """A mail server on loopback; with TLS it takes nothing before STARTTLS and a password."""
    box, port = Mailbox(), free_port()
    guard: dict[str, Any] = {}
    if context is not None:
        guard = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": let_in}
    server = Controller(box, LOOPBACK, port, **guard)
    server.start()
    try:
        yield box, port
    finally:
        server.stop()


def own_tls(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS for loopback, certified by ca.pem of a folder."""
    ca_key, _ = make_ca(folder, "ca")
    key = generate_private_key(SECP256R1())
    write_key(folder / "mail.key", key)
    (folder / "mail.pem").write_bytes(certify("mail", key, "ca", ca_key, host=LOOPBACK))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "mail.pem", folder / "mail.key")
    return tls


class Hook(BaseHTTPRequestHandler):
    """Takes what is posted."""

    posted: ClassVar[list[tuple[dict[str, str], bytes]]] = []
    status: ClassVar[int] = 204

    def do_POST(self) -> None:
        """Keep headers and body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append((dict(self.headers), body))
        self.send_response(self.status)
        self.send_header("Location", f"http://{LOOPBACK}:9/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hook() -> Iterator[str]:
    """A web server for the webhook; its address."""
    Hook.posted, Hook.status = [], 204
    server = HTTPServer((LOOPBACK, 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{LOOPBACK}:{server.server_port}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


def configured(folder: Path, text: str) -> Config:
    """A collector with these alerts."""
    for name, secret in (("mail.password", PASSWORD), ("hook.secret", SECRET)):
        (folder / name).write_text(f"{secret}\n")
    (folder / "collector.toml").write_text(f"[alerts]\nsilent_minutes = 60\ndisk_free_gib = 0\n{text}")
    return load_config(folder / "collector.toml")


def by_mail(port: int, security: str = "none", more: str = "") -> str:
    return (
        f'[alerts.mail]\nhost = "{LOOPBACK}"\nport = {port}\nsecurity = "{security}"\n'
        f'sender = "emitrace@example.org"\nto = ["team@example.org"]\n{more}'
    )


def heard(books: Books, edge: Edge, at_ms: int) -> None:
    """An agent is registered and was heard of at an instant."""
    with books.database.writing() as connection:
        add_agent(connection, edge.public, "boiler house", START_MS)
        connection.execute(update(agents).values(last_seen_ms=at_ms))


def kinds(books: Books, rules: AlertsTable, now_ms: int) -> set[tuple[Kind, str]]:
    with books.database.reading() as connection:
        return {(one.kind, one.subject) for one in conditions(connection, rules, now_ms)}


def test_everything_that_is_the_matter_is_found(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., object], tmp_path: Path
) -> None:
    """Each kind by what brings it about, and nothing of a healthy stream."""
    edge, rules = stream(6), AlertsTable()
    register(edge)
    ingest(edge, 0, 1, 2)
    assert set() == kinds(books, rules, START_MS + MINUTE_MS)
    ingest(edge, 4)
    alarm = b'{"phase": "running", "log_alarm": "size 7 after 9"}'
    commit_group(books, [(edge.message(1)[0], b"rubbish"), (topics.status(edge.agent_id), alarm)], START_MS + 2)
    stranger = stream(1)
    stranger_topic = topics.up("ab" * 32, stranger.kinds[0])
    commit_group(books, [(stranger_topic, stranger.items[0])], START_MS + 2)
    with books.database.writing() as connection:
        placed = connection.scalar(items.select().with_only_columns(items.c.id).where(items.c.sequence == 1))
        connection.execute(delete(comparisons))
        connection.execute(
            insert(comparisons).values(
                item=placed, agent_id=edge.agent_id, equal=False, differences="[]", compared_ms=1
            )
        )
        connection.execute(update(dirty_hours).values(error="cannot be made"))
    found = kinds(books, rules, START_MS + 61 * MINUTE_MS)

    reasons = {subject.partition("/")[2] for kind, subject in found if kind is Kind.QUARANTINE}
    assert {Kind.AGENT_SILENT, Kind.GAP, Kind.QUARANTINE, Kind.DIFFERENT, Kind.HOURS, Kind.LOG} == {k for k, _ in found}
    assert {"malformed", "unknown-key"} == reasons
    assert {""} == {subject.partition("/")[0] for _, subject in found if subject.endswith("unknown-key")}
    with books.database.writing() as connection:
        for one in quarantine.latest(connection):
            record_decision(connection, one.id, "reject", "rejected", "li.wei", "a test of ours", START_MS)
    assert Kind.QUARANTINE not in {kind for kind, _ in kinds(books, rules, START_MS + 61 * MINUTE_MS)}
    assert {Kind.DISK} == {one.kind for one in disk_condition(tmp_path, AlertsTable(disk_free_gib=100_000))}
    assert [] == list(disk_condition(tmp_path, AlertsTable(disk_free_gib=0)))


def test_instruments_to_look_after_are_told_by_facility_and_state(books: Books) -> None:
    """Overdue, failed, or soon over; one of no evidence stands on its page, and what is fine is nobody's matter."""
    day = date(2026, 3, 1)
    with books.database.writing() as connection:
        for name, ends in (("soon", 20), ("later", 40), ("over", -3), ("over-too", -9)):
            entered = Instrument(name, "A-1", Regime.USER_DEFINED)
            test = happened(f"v-{name}", "2025-03-01", instrument=name, valid_until=day + timedelta(days=ends))
            for record in (entered, test, Instrument("new", "N-1", Regime.USER_DEFINED)):
                add_record(connection, books.plans, record, START_MS, "li")
    now_ms = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)

    def told(due_days: int) -> dict[str, tuple[object, object]]:
        with books.database.reading() as connection:
            found = standings(connection, books.plans, books.trust, now_ms)
        conditions = calibration_conditions(found, AlertsTable(due_days=due_days))
        return {one.subject: (one.facts["count"], one.facts["names"]) for one in conditions}

    assert {"/due-soon": (1, "soon"), "/overdue": (2, "over-too, over")} == told(30)
    assert {"/overdue": (2, "over-too, over")} == told(0)
    watch = Watch(books, lambda: True)
    watch.step(now_ms)
    with books.database.reading() as connection:
        (raised, _) = untold(connection, "mail", now_ms)
    alert = next(one for one in raised if one.subject == "/overdue")
    assert "2 instruments overdue: over-too, over" in sentence(alert, Words("en"), ZoneInfo("UTC"))
    assert "2 台计量器具超期" in sentence(alert, Words("zh-CN"), ZoneInfo("UTC"))


def test_lost_data_is_told_for_a_day(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., object]
) -> None:
    """A tombstone that has come says how many batches nobody has."""
    edge = stream(4)
    register(edge)
    edge.drop(2, 3)
    ingest(edge, 0, 1, 5)

    assert (Kind.LOST, edge.agent_id) in kinds(books, AlertsTable(), START_MS + HOUR_MS)
    assert (Kind.LOST, edge.agent_id) not in kinds(books, AlertsTable(), START_MS + 2 * DAY_MS)


def test_news_by_mail_once_with_reminders_until_somebody_looks_after_it(tmp_path: Path) -> None:
    """Through STARTTLS with a password: raised, nothing twice, again after a day, not once acknowledged, then over."""
    with mail_server(own_tls(tmp_path)) as (box, port):
        more = 'username = "emitrace"\npassword_file = "mail.password"\nca = "ca.pem"\n'
        config = configured(tmp_path, by_mail(port, "starttls", more))
        edge, now_ms = stream(1), START_MS + 2 * HOUR_MS
        with open_books(config) as books:
            heard(books, edge, START_MS)
            watch = Watch(books, lambda: True)
            watch.step(now_ms)
            watch.step(now_ms + MINUTE_MS)
            assert 1 == len(box.mails)
            watch.step(now_ms + 25 * HOUR_MS)
            assert 2 == len(box.mails)
            with books.database.writing() as connection:
                (one,) = open_alerts(connection)
                acknowledge_alert(connection, one.id, "li.wei", "cable", now_ms)
                with pytest.raises(EmitraceError, match=r"li\.wei has acknowledged it already"):
                    acknowledge_alert(connection, one.id, "wang", "", now_ms)
                with pytest.raises(EmitraceError, match="there is none"):
                    acknowledge_alert(connection, one.id + 1, "wang", "", now_ms)
            watch.step(now_ms + 60 * HOUR_MS)
            assert 2 == len(box.mails)
            with books.database.writing() as connection:
                connection.execute(update(agents).values(last_seen_ms=now_ms + 61 * HOUR_MS))
            watch.step(now_ms + 61 * HOUR_MS)
            watch.step(now_ms + 61 * HOUR_MS)
            with books.database.reading() as connection:
                (past,), still = past_alerts(connection, 10), open_alerts(connection)

    raised, _, over = (mail.get_content() for mail in box.mails)
    assert ("emitrace@example.org", "team@example.org") == (box.mails[0]["From"], box.mails[0]["To"])
    assert "[Emitrace] 告警：新 1 项，解除 0 项 / 1 alerts, 0 over" == box.mails[0]["Subject"]
    assert "Nothing was heard of agent boiler house since 2025-10-09 09:00 (UTC)" in raised
    assert "现场代理 boiler house 自" in raised
    assert "Over:" in over
    assert (now_ms + 61 * HOUR_MS, "li.wei", "cable", ()) == (past.ended_ms, past.acknowledged_by, past.note, still)


def test_a_way_that_fails_is_tried_again_and_the_other_is_not_kept_waiting(tmp_path: Path, hook: str) -> None:
    """The webhook has it at once, the mail server a minute after it takes mails again; each once."""
    with mail_server(None) as (box, port):
        webhook = f'[alerts.webhook]\nurl = "{hook}"\nsecret_file = "hook.secret"\n'
        config = configured(tmp_path, by_mail(port) + webhook)
        box.refuses, now_ms = True, START_MS + 2 * HOUR_MS
        with open_books(config) as books:
            heard(books, stream(1), START_MS)
            watch = Watch(books, lambda: True)
            watch.step(now_ms)
            box.refuses = False
            watch.step(now_ms + MINUTE_MS // 2)
            assert ([], 1) == (box.mails, len(Hook.posted))
            watch.step(now_ms + MINUTE_MS)
            watch.step(now_ms + 2 * MINUTE_MS)
            origin = books.collector_id
    ((headers, body),) = Hook.posted
    told = json.loads(body)

    assert 1 == len(box.mails)
    assert signature(SECRET, body) == headers[SIGNATURE]
    assert (1, origin, False, []) == (told["schema"], told["collector"], told["test"], told["ended"])
    assert ["agent-silent"] == [one["kind"] for one in told["raised"]]
    assert {"zh-CN", "en"} == set(told["raised"][0]["text"])


def test_another_address_gets_nothing(tmp_path: Path, hook: str) -> None:
    """A redirect is a failure."""
    Hook.status = 302
    with open_books(configured(tmp_path, f'[alerts.webhook]\nurl = "{hook}"\n')) as books:
        (way,) = ways_of(books.config)
        with pytest.raises(OSError, match="302"):
            way.send(News((), (), ZoneInfo("UTC"), "", books.collector_id))
    assert 1 == len(Hook.posted)


def test_quiet_hours_hold_back_what_can_wait(tmp_path: Path, hook: str) -> None:
    """At night only what cannot wait; what was over by morning is told as over."""
    quiet = 'quiet_from = "22:00"\nquiet_to = "07:00"\nzone = "Asia/Shanghai"\n'
    config = configured(tmp_path, f'{quiet}[alerts.webhook]\nurl = "{hook}"\n')
    rules = config.settings.alerts
    midnight = START_MS - START_MS % DAY_MS + 16 * HOUR_MS
    with open_books(config) as books:
        heard(books, stream(1), midnight - 3 * HOUR_MS)
        with books.database.writing() as connection:
            connection.execute(update(agents).values(status='{"log_alarm": "size 7 after 9"}'))
        watch = Watch(books, lambda: True)
        watch.step(midnight)
        assert [["log"]] == [[one["kind"] for one in json.loads(body)["raised"]] for _, body in Hook.posted]
        with books.database.writing() as connection:
            connection.execute(update(agents).values(last_seen_ms=midnight + 7 * HOUR_MS, status="{}"))
        watch.step(midnight + 7 * HOUR_MS)
    last = json.loads(Hook.posted[-1][1])

    assert [True, True, False, False] == [is_quiet(rules, midnight + hour * HOUR_MS) for hour in (-2, 6, 7, -3)]
    assert ([], {"agent-silent", "log"}) == (last["raised"], {one["kind"] for one in last["ended"]})
    day = replace_hours(rules, "12:00", "13:30")
    assert [False, True, False] == [is_quiet(day, midnight + at * MINUTE_MS) for at in (719, 720, 810)]


def replace_hours(rules: AlertsTable, from_: str, to: str) -> AlertsTable:
    return rules.model_copy(update={"quiet_from": from_, "quiet_to": to})


def test_a_broker_is_missed_after_five_minutes(tmp_path: Path) -> None:
    """A restart of it is no alert."""
    there = [False]
    with open_books(configured(tmp_path, "")) as books:
        watch = Watch(books, lambda: there[0])

        def holds(minutes: float) -> list[Kind]:
            watch.step(START_MS + round(minutes * MINUTE_MS))
            with books.database.reading() as connection:
                return [one.kind for one in open_alerts(connection)]

        assert [[], [], [Kind.BROKER]] == [holds(0), holds(4.9), holds(5)]
        there[0] = True
        assert [] == holds(6)
        there[0] = False
        assert [[], []] == [holds(7), holds(11)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[alerts.mail]\nto = ["a@b"]\n', "[alerts.mail] sender"),
        ('[alerts.webhook]\nurl = "ftp://host/x"\n', "alerts.webhook.url"),
        ('[alerts.webhook]\nurl = "https://me:pw@host/x"\n', "alerts.webhook.url"),
        ('quiet_from = "25:00"\n', "alerts.quiet_from"),
        ('zone = "Asia/Peking"\n', "alerts.zone"),
        ('[alerts.mail]\npassword_file = "absent"\n', "[alerts.mail] password_file"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    """The table and the field, before anything is sent."""
    (tmp_path / "collector.toml").write_text(text if text.startswith("[") else f"[alerts]\n{text}")
    done = CliRunner().invoke(app, ["alerts", "test", "--config", str(tmp_path / "collector.toml")])

    assert 2 == done.exit_code
    assert said in done.output


def test_the_commands_list_acknowledge_and_test(tmp_path: Path, hook: str) -> None:
    """Exit 1 while nobody looks after an alert; the test reaches the webhook and says what it is."""
    config = configured(tmp_path, f'[alerts.webhook]\nurl = "{hook}"\n')
    with open_books(config) as books:
        heard(books, stream(1), START_MS)
        Watch(books, lambda: True).step(START_MS + 2 * HOUR_MS)
    Hook.posted.clear()

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["alerts", *words, "--config", str(config.file)])
        return done.exit_code, done.output

    code, listed = run("list")
    assert (1, "agent boiler house") == (code, listed[listed.index("agent") :][:18])
    assert (0, "alert 1 is acknowledged\n") == run("acknowledge", "1", "--note", "cable")
    assert 2 == run("acknowledge", "1")[0]
    code, listed = run("list", "--json")
    assert (0, "command-line") == (code, json.loads(listed)[0]["acknowledged_by"])
    code, said = run("test")
    assert (0, f"webhook to {hook.split('/')[2]}: sent\n") == (code, said)
    assert [True] == [json.loads(body)["test"] for _, body in Hook.posted]
    Hook.status = 500
    assert 3 == run("test")[0]
