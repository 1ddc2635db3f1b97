"""Enrolment at the collector: a token is good once, for one facility, until a time; a person decides; nothing leaks."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from typer.testing import CliRunner

from collector import enrolling
from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.app import create_app
from collector.books import Books, open_books
from collector.broker.configuration import read_accounts
from collector.commands import app
from collector.config import Config, EnrolmentTable
from collector.ingest.worker import commit_group
from collector.store.agents import all_agents
from collector.store.endings import Ending
from collector.store.enrolments import waiting_enrolments
from collector.store.schema import agents, audit, enrolment_tokens, leaves
from protocols.enrolment import (
    Answer,
    Invitation,
    Request,
    State,
    account_hash,
    comparison,
    read_answer,
    read_invitation,
    seal_request,
)
from protocols.errors import EmitraceError
from protocols.wire.keys import fingerprint, public_bytes
from tests.certificates import make_ca
from tests.collector.edge import START_MS, stream
from tests.collector.running import PASSWORD, hidden, sign_in

EDGE = stream(1)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Config:
    """With an address, a certificate, and the broker's password file."""
    make_ca(tmp_path, "web")
    (tmp_path / "accounts").write_text(f"collector:{account_hash('x', b'1' * 12)}\n")
    table = EnrolmentTable(
        url="https://emitrace.example.org", certificate="web.pem", broker_host="broker.example.org", broker_port=8883,
        broker_ca="web.pem", accounts="accounts",
    )  # fmt: skip
    return Config(config.file, config.settings.model_copy(update={"enrolment": table}))


@dataclass
class Desk:
    """An agent's side, over HTTP in one process."""

    books: Books
    http: TestClient
    password: str = "p" * 43

    def invite(self, facility: str = "site", minutes: int = 60, replaces: str = "") -> Invitation:
        return enrolling.invite(self.books, "boiler house", facility, minutes, "li.wei", replaces=replaces)[0]

    def ask(
        self, invitation: Invitation, key: Ed25519PrivateKey = EDGE.key, facility: str = "site"
    ) -> Answer | tuple[int, str]:
        """The collector's answer, or status and text of its refusal."""
        nonce, public = b"n" * 16, public_bytes(key)
        account = account_hash(self.password, b"2" * 12)
        sealed = seal_request(Request(public, invitation.secret, facility, account, "agent 1", nonce), key)
        said = self.http.post("/api/v1/enrolments", json={"request": base64.b64encode(sealed).decode()})
        if said.status_code != 200:
            return said.status_code, said.text
        return read_answer(base64.b64decode(said.json()["answer"]), invitation.collector, nonce)

    def waiting(self) -> list[int]:
        with self.books.database.reading() as connection:
            return [one.token.id for one in waiting_enrolments(connection)]

    def actions(self) -> list[str]:
        with self.books.database.reading() as connection:
            found = connection.scalars(select(audit.c.action).order_by(audit.c.position)).all()
        return [action for action in found if action.startswith("agent-")]


@pytest.fixture
def desk(books: Books) -> Iterator[Desk]:
    with TestClient(create_app(books)) as http:
        yield Desk(books, http)


@pytest.mark.backends
def test_from_invitation_to_the_first_batch(desk: Desk, tmp_path: Path) -> None:
    """Pending it is nobody; both sides show the same digits; confirmed it is believed and has its broker account."""
    answer = desk.ask(desk.invite())
    assert isinstance(answer, Answer)
    assert (State.PENDING, "boiler house", "broker.example.org", 8883) == (
        answer.state, answer.name, answer.broker, answer.port
    )  # fmt: skip
    assert answer.authority == (tmp_path / "web.pem").read_text()
    with desk.books.database.reading() as connection:
        (waiting,) = waiting_enrolments(connection)
        assert () == all_agents(connection)
    assert comparison(EDGE.public, answer.collector_key, answer.nonce) == waiting.digits(desk.books.public_key)
    assert {} == commit_group(desk.books, [EDGE.message(0)], START_MS)

    assert "" == enrolling.settle(desk.books, waiting.token.id, State.CONFIRMED, "li.wei").problem
    accounts = read_accounts((tmp_path / "accounts").read_text(), "accounts")
    assert {"collector", EDGE.agent_id} == accounts.keys()
    (ack,) = commit_group(desk.books, [EDGE.message(n) for n in range(2)], START_MS)[EDGE.agent_id]
    assert 1 == ack.contiguous
    assert ["agent-token-made", "agent-asked", "agent-confirmed", "agent-added"] == desk.actions()
    with desk.books.database.reading() as connection:
        assert EDGE.agent_id in connection.scalars(select(leaves.c.object_id).where(leaves.c.kind == "agent-key"))
    with pytest.raises(EmitraceError, match="was confirmed by li"):
        enrolling.settle(desk.books, waiting.token.id, State.REFUSED, "wang")

    enrolling.end_agent(desk.books, "boiler house", Ending.REVOKED, "stolen", "li.wei")
    assert {"collector"} == read_accounts((tmp_path / "accounts").read_text(), "accounts").keys()


def test_the_same_key_may_ask_again_and_no_other(desk: Desk) -> None:
    """A machine switched off before the answer came asks again; a thief of the invitation is refused, and it shows."""
    invitation = desk.invite()
    first, again = desk.ask(invitation), desk.ask(invitation)

    assert isinstance(first, Answer)
    assert first == again
    refused = desk.ask(invitation, OTHER)
    assert isinstance(refused, tuple)
    assert (403, True) == (refused[0], "used by another key" in refused[1])
    assert "agent-token-refused" in desk.actions()
    assert 1 == len(desk.waiting())


@pytest.mark.parametrize("why", ["unknown", "expired", "withdrawn", "facility", "ended"])
def test_what_a_token_is_not_good_for(desk: Desk, why: str) -> None:
    """Each with words that say what to do; nothing waits for a person then."""
    invitation = desk.invite()
    key, facility = EDGE.key, "site"
    with desk.books.database.writing() as connection:
        if why == "unknown":
            connection.execute(update(enrolment_tokens).values(digest=bytes(32)))
        elif why == "expired":
            connection.execute(update(enrolment_tokens).values(expires_ms=START_MS))
        elif why == "withdrawn":
            connection.execute(update(enrolment_tokens).values(withdrawn_ms=START_MS))
    if why == "facility":
        facility = "elsewhere"
    if why == "ended":
        desk.ask(invitation)
        enrolling.settle(desk.books, desk.waiting()[0], State.CONFIRMED, "li.wei")
        enrolling.end_agent(desk.books, "boiler house", Ending.REVOKED, "stolen", "li.wei")
        invitation = desk.invite()
    words = {
        "unknown": "none of this collector's", "expired": "minutes ago", "withdrawn": "was withdrawn",
        "facility": "is for facility site, the plan of this agent is of elsewhere", "ended": "enroll --new-key",
    }  # fmt: skip
    found = desk.ask(invitation, key, facility)

    assert isinstance(found, tuple)
    assert (403, True) == (found[0], words[why] in found[1]), found
    assert [] == desk.waiting()


def test_a_refused_agent_is_told_and_stays_nobody(desk: Desk) -> None:
    """Its key is not registered, it has no account."""
    invitation = desk.invite()
    desk.ask(invitation)
    enrolling.settle(desk.books, desk.waiting()[0], State.REFUSED, "li.wei")
    told = desk.ask(invitation)

    assert isinstance(told, Answer)
    assert State.REFUSED is told.state
    with desk.books.database.reading() as connection:
        assert () == all_agents(connection)


def test_a_stolen_machine_comes_back_as_another_agent(desk: Desk) -> None:
    """Under a new key, in the place of the one that was revoked."""
    for key in (EDGE.key, OTHER):
        invitation = desk.invite(replaces="" if key is EDGE.key else EDGE.agent_id)
        desk.ask(invitation, key)
        enrolling.settle(desk.books, desk.waiting()[0], State.CONFIRMED, "li.wei")
        if key is EDGE.key:
            enrolling.end_agent(desk.books, "boiler house", Ending.REVOKED, "stolen", "li.wei")
    with desk.books.database.reading() as connection:
        replaced = connection.scalar(
            select(agents.c.replaces).where(agents.c.agent_id == fingerprint(public_bytes(OTHER)))
        )

    assert EDGE.agent_id == replaced


def test_guessing_is_slowed_down(desk: Desk) -> None:
    """After a few wrong tokens or rubbish an address waits, longer each time, whatever it brings."""
    good = desk.invite()
    wrong = Invitation(good.url, "A" * 43, good.collector)
    statuses = [found[0] for _ in range(7) if isinstance(found := desk.ask(wrong), tuple)]
    answer = desk.ask(good)

    assert [403] * 5 + [429] * 2 == statuses
    assert isinstance(answer, tuple)
    assert 429 == answer[0]
    for body in ({"request": "?"}, {"request": base64.b64encode(b"rubbish").decode()}, {"request": "x" * 9000}, {}):
        assert desk.http.post("/api/v1/enrolments", json=body).status_code in (422, 429)


def test_rubbish_is_no_request(desk: Desk) -> None:
    """Whatever a stranger posts is answered, and never with a fault of the service's own."""
    bodies = [{"request": "?"}, {"request": "\U0006f8ad"}, {"request": base64.b64encode(b"rubbish").decode()}, {}]

    assert [422] * 4 == [desk.http.post("/api/v1/enrolments", json=body).status_code for body in bodies]


def test_secrets_are_kept_nowhere(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Neither token nor broker password in the database, its journal, the log, or the audit trail."""
    caplog.set_level(logging.DEBUG)
    invitation = desk.invite()
    desk.ask(invitation)
    desk.ask(invitation, OTHER)
    enrolling.settle(desk.books, desk.waiting()[0], State.CONFIRMED, "li.wei")
    state = desk.books.config.state_dir
    files = [path.read_bytes() for path in state.iterdir() if path.is_file()]

    assert any(b"agent-confirmed" in data for data in files)
    for secret in (invitation.secret, desk.password):
        assert not any(secret.encode() in data for data in files)
        assert secret not in caplog.text


def test_an_invitation_needs_an_address(config: Config) -> None:
    """What agents would be led to is said in the configuration; the command says so."""
    bare = Config(config.file, config.settings.model_copy(update={"enrolment": EnrolmentTable()}))
    with open_books(bare) as books, pytest.raises(EmitraceError, match="url: is not set"):
        enrolling.invite(books, "x", "site", 60, "li.wei")


def test_a_broker_file_that_cannot_be_written_is_said_and_undoes_nothing(desk: Desk, tmp_path: Path) -> None:
    """The agent is confirmed in the books; the page says what is to be done at the broker."""
    desk.ask(desk.invite())
    (tmp_path / "accounts").unlink()
    done = enrolling.settle(desk.books, desk.waiting()[0], State.CONFIRMED, "li.wei")

    assert "broker-config" in done.problem
    with desk.books.database.reading() as connection:
        assert 1 == len(all_agents(connection))


def test_by_command(desk: Desk, tmp_path: Path) -> None:
    """Invite into a file or to print, list who waits, confirm only with the agent's digits, refuse."""
    config = desk.books.config
    config.file.write_text('[enrolment]\nurl = "https://emitrace.example.org"\n')

    def said(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["agents", *words, "--config", str(config.file)])
        return result.exit_code, result.output

    into = tmp_path / "invitation"
    invite = ("invite", "boiler house", "--facility", "site")
    assert 0 == said(*invite, "--into", str(into))[0]
    assert (0o600, 2) == (into.stat().st_mode & 0o777, said(*invite, "--into", str(into))[0])
    assert "https://emitrace.example.org#enrol.1." in said(*invite)[1]
    for key in (EDGE.key, OTHER):
        desk.ask(read_invitation(into.read_text()) if key is EDGE.key else desk.invite(), key)
    first, second = json.loads(said("waiting", "--json")[1])
    assert first["digits"] in said("waiting")[1]
    code, output = said("confirm", str(first["number"]), "--digits", second["digits"])
    assert (2, True) == (code, "refuse it" in output)
    assert 0 == said("confirm", str(first["number"]), "--digits", first["digits"].replace(" ", ""))[0]
    assert 0 == said("refuse", str(second["number"]))[0]
    assert "[]" == said("waiting", "--json")[1].strip()
    with desk.books.database.reading() as connection:
        assert ["boiler house"] == [one.name for one in all_agents(connection)]


def test_on_the_page(desk: Desk) -> None:
    """Invited, shown once as text and code, waiting, confirmed; revoked with a reason, in both languages."""
    Register(desk.books.database).add("admin", Role.ADMIN, PASSWORD, by="test")
    http = desk.http
    sign_in(http, "admin")
    page = http.get("/agents?lang=en").text
    csrf = hidden(page)["csrf"]

    def send(path: str, **fields: str) -> str:
        answer = http.post(path, data={"csrf": csrf, **fields})
        assert answer.status_code < 500
        return unescape(answer.text)

    assert "There is no agent yet" in page
    made = send("/agents/invitations", name="boiler house", facility="site", minutes="15")
    text = re.findall(r'class="secret">([^<]+)<', made)[0]
    assert "<svg" in made
    assert text.partition(".1.")[2][:43] not in http.get("/agents").text
    answer = desk.ask(read_invitation(text))
    assert isinstance(answer, Answer)
    assert comparison(EDGE.public, answer.collector_key, answer.nonce) in http.get("/agents").text
    assert "from now on it is believed" in send("/agents/enrolments/1/confirm")
    assert "Nothing is changed" in send("/agents/enrolments/1/refuse")
    assert "Withdraw" in send("/agents/invitations", name="x", facility="site") + http.get("/agents").text
    assert "is withdrawn" in send("/agents/invitations/2/withdraw")
    assert "no such unused invitation" in send("/agents/invitations/1/withdraw")
    assert "Give 1 to 64" in send("/agents/invitations", name="", facility="site")
    own = f"/agents/{EDGE.agent_id}"
    assert "Tick the box" in send(f"{own}/revoke", reason="stolen")
    assert "no reason" in send(f"{own}/revoke", reason=" ", checked="yes")
    assert "out of service" in http.get(own).text
    assert "nobody waits for it" in send(f"{own}/retire", reason="moved", checked="yes")
    assert "quarantined" in send(f"{own}/revoke", reason="stolen", checked="yes")
    assert "\u5df2\u540a\u9500" in http.get(f"{own}?lang=zh-CN").text
    assert 404 == http.get("/agents/nobody").status_code
    with desk.books.database.reading() as connection:
        who = connection.scalars(select(audit.c.who).where(audit.c.action == "agent-revoked")).all()
    assert ["admin"] == who
