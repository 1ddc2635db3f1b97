from __future__ import annotations

import re
import time
from html import unescape
from pathlib import Path

import httpx
import pytest

from collector.api.auth import FREE_TRIES, Brake
from collector.books import open_books
from collector.hours.cells import HOUR_MS
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from collector.web.language import LANGUAGES, choose, messages
from collector.web.shown import mass_unit, percent
from protocols.wire.errors import Reason
from tests.collector.edge import stream
from tests.collector.running import PASSWORD, Collector, Spawn, hidden
from tests.services import free_port, wait_until

TEMPLATES = Path(__file__).parents[2] / "collector" / "web" / "templates"
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def empty(tmp_path: Path, spawn: Spawn) -> Collector:
    """A running collector that knows nothing; its broker never comes."""
    one = Collector(tmp_path, spawn, free_port())
    one.configure()
    one.start()
    return one


@pytest.fixture
def filled(tmp_path: Path, spawn: Spawn) -> Collector:
    """A running collector with a few minutes of an agent and one refused message."""
    one = Collector(tmp_path, spawn, free_port())
    config = one.configure()
    edge = stream(4, at_ms=NOW_MS - NOW_MS % HOUR_MS, window_s=60)
    with open_books(config) as books:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler <house>", NOW_MS)
        commit_group(books, [edge.message(n) for n in range(5)], NOW_MS)
        commit_group(books, [(edge.message(1)[0], b"<script>alert(1)</script>")], NOW_MS)
    one.start()
    wait_until(lambda: len(one.get("hours")["hours"]) == 3 and one.get("comparisons")["equal"] == 4, 20, "the ledger")
    return one


def test_everything_is_denied_to_strangers(empty: Collector) -> None:
    """No path but sign-in, style and health answers without a session, whether it exists or not."""
    paths = httpx.get(f"{empty.address}/api/v1/openapi.json", auth=("admin", PASSWORD)).json()["paths"]
    asked = [path.replace("{item}", "1").replace("{entry}", "1").replace("{version}", "1") for path in paths]

    answers = {path: httpx.get(empty.address + path).status_code for path in asked}
    posts = {path: httpx.post(empty.address + path).status_code for path in asked}

    assert {path: 200 if path.endswith("/health") else 401 for path in asked} == answers
    assert {405, 401} >= set(posts.values())
    assert (401, 401) == (
        httpx.get(f"{empty.address}/api/v1/nothing").status_code,
        httpx.get(f"{empty.address}/api/v1/openapi.json").status_code,
    )
    home = httpx.get(f"{empty.address}/")
    assert (303, "/login") == (home.status_code, home.headers["Location"])


def test_a_wrong_password_is_refused_and_then_slowed_down(empty: Collector) -> None:
    """After a few wrong tries even the right password has to wait."""
    with httpx.Client(base_url=empty.address) as client:
        codes = []
        for _ in range(FREE_TRIES + 1):
            token = hidden(client.get("/login").text)["token"]
            codes.append(client.post("/login", data={"username": "admin", "password": "x", "token": token}).status_code)
        token = hidden(client.get("/login").text)["token"]
        slowed = client.post("/login", data={"username": "admin", "password": PASSWORD, "token": token})

    assert [401] * FREE_TRIES + [429] == codes
    assert (429, True) == (slowed.status_code, int(slowed.headers["Retry-After"]) > 0)
    assert 401 == httpx.get(f"{empty.address}/api/v1/log", auth=("admin", PASSWORD)).status_code


def test_the_brake_doubles_and_forgets() -> None:
    """Waits grow by two from the fifth wrong try on and end with a right one."""
    now = [0.0]
    brake = Brake(lambda: now[0])
    waits = []
    for _ in range(FREE_TRIES + 2):
        brake.failed("client")
        waits.append(brake.wait_s("client"))
    brake.succeeded("client")

    assert ([0.0] * (FREE_TRIES - 1) + [2.0, 4.0, 8.0], 0.0) == (waits, brake.wait_s("client"))


def test_the_session_cookie_is_strict(empty: Collector) -> None:
    """HttpOnly, SameSite=Strict, and worth nothing once changed or signed out."""
    with httpx.Client(base_url=empty.address) as client:
        token = hidden(client.get("/login").text)["token"]
        answer = client.post("/login", data={"username": "admin", "password": PASSWORD, "token": token})
        cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("emitrace_session="))
        value = cookie.split(";")[0].split("=", 1)[1]

    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    forged = value[:-2] + ("aa" if value[-2:] != "aa" else "bb")
    codes = [
        httpx.get(f"{empty.address}/api/v1/log", headers={"Cookie": f"emitrace_session={v}"}).status_code
        for v in (value, forged)
    ]
    assert [200, 401] == codes


def test_a_changed_password_ends_sessions(empty: Collector) -> None:
    """A session from before the change is no session any more."""
    with empty.browser() as client:
        (empty.folder / "new").write_text("another-long-password")
        empty.run("user", "set-password", "admin", "--password-file", str(empty.folder / "new"))

        assert 401 == client.get("/api/v1/log").status_code


def test_forms_need_their_token_and_their_own_origin(filled: Collector) -> None:
    """A form without the session's token, or from another site, changes nothing."""
    period = {"from_ms": NOW_MS - NOW_MS % HOUR_MS, "to_ms": NOW_MS - NOW_MS % HOUR_MS + HOUR_MS}
    with filled.browser() as client:
        csrf = hidden(client.get("/").text)["csrf"]
        form = {"from_": "2026-01-01T00:00", "to": "2026-01-02T00:00", "gwp": "AR6"}
        refused = [
            client.post("/inventory/build", data=form),
            client.post("/inventory/build", data=form | {"csrf": "wrong"}),
            client.post(
                "/inventory/build", data=form | {"csrf": csrf}, headers={"Origin": "https://elsewhere.example"}
            ),
            client.post("/logout", data={}),
            client.post("/api/v1/inventories", json=period),
            client.post("/api/v1/inventories", json=period, headers={"X-CSRF-Token": "wrong"}),
        ]
        assert [403] * 6 == [answer.status_code for answer in refused]
        assert [] == client.get("/api/v1/inventories").json()["inventories"]

        made = client.post("/api/v1/inventories", json=period, headers={"X-CSRF-Token": csrf})
        assert 201 == made.status_code


def test_an_inventory_is_built_and_sealed_on_the_page(filled: Collector) -> None:
    """The two forms work without any script; a sealed version offers no button."""
    with filled.browser() as client:
        page = client.get("/").text
        times = dict(re.findall(r'name="(from_|to)"[^>]*value="([^"]+)"', page))
        csrf = hidden(page)["csrf"]
        built = client.post("/inventory/build", data=times | {"gwp": "AR5", "csrf": csrf}, follow_redirects=True)
        sealed = client.post("/inventory/1/seal", data={"csrf": csrf}, follow_redirects=True)
        again = client.post("/inventory/1/seal", data={"csrf": csrf})

        assert (200, 200, 422) == (built.status_code, sealed.status_code, again.status_code)
        assert ("/inventory/1/seal" in built.text, "/inventory/1/seal" in sealed.text) == (True, False)
        stored = client.get("/api/v1/inventories/1").json()
    assert "AR5" == stored["inventory"]["pinned"]["gwp_set"]
    assert stored["sealed_ms"] is not None


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["empty", "filled"])
def test_the_overview_speaks_both_languages(request: pytest.FixtureRequest, state: str, language: str) -> None:
    """Empty or filled, the page is whole, remembers its language, names no outside host and runs no script."""
    one: Collector = request.getfixturevalue(state)
    with one.browser() as client:
        page = client.get("/", params={"lang": language})
        later = client.get("/")

    assert (200, f'<html lang="{language}">') == (page.status_code, re.findall("<html[^>]*>", later.text)[0])
    assert [] == re.findall(r"<script|https?://|javascript:|style=", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    words = messages()[language]
    expected = {
        "empty": ["inventory.none", "agents.none", "quarantine.none"],
        "filled": ["inventory.by-gas", "reason.malformed", "calibration.unknown"],
    }
    assert [] == [key for key in expected[state] if words[key] not in unescape(page.text)]
    if state == "filled":
        assert "boiler &lt;house&gt;" in page.text


def test_both_languages_have_every_key() -> None:
    """Same keys, same placeholders, none empty; every key a template names exists, every reason is translated."""
    zh, en = (messages()[language] for language in LANGUAGES)
    named = {key for path in TEMPLATES.glob("*.html") for key in re.findall(r'w\("([^"]+)"', path.read_text())}

    assert zh.keys() == en.keys()
    assert set() == named - zh.keys()
    assert set() == {f"reason.{reason.value}" for reason in Reason} - zh.keys()
    holes = {key: (set(re.findall(r"{(\w+)}", zh[key])), set(re.findall(r"{(\w+)}", en[key]))) for key in zh}
    assert {} == {key: pair for key, pair in holes.items() if pair[0] != pair[1]}
    assert [] == [key for key in zh if not zh[key].strip() or not en[key].strip()]


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "expected"),
    [
        ("en", "zh-CN", "zh", "en"),
        ("xx", "en", "zh", "en"),
        (None, None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, None, "zh-TW,zh;q=0.9", "zh-CN"),
        (None, None, "fr", "zh-CN"),
        (None, None, None, "zh-CN"),
    ],
)
def test_the_language_is_chosen(query: str | None, cookie: str | None, accept: str | None, expected: str) -> None:
    """Address before memory before browser before Chinese."""
    assert expected == choose(query, cookie, accept)


@pytest.mark.parametrize(
    ("mass_mg", "expected"),
    [(0, "0 mg"), (999, "999 mg"), (1000, "1.000 g"), (12_345_678_901, "12.346 t"), (-2_500_000, "\u22122.500 kg")],
)
def test_masses_are_shown_in_a_fitting_unit(mass_mg: int, expected: str) -> None:
    """The unit follows the size, the digits are rounded for display only."""
    unit = mass_unit(mass_mg)

    assert expected == f"{unit.text(mass_mg)} {unit.name}"


def test_a_share_is_whole_only_when_it_is() -> None:
    """One slot missing in ten thousand is not 100 %; one present is not 0 %."""
    shown = [percent(9999, 10_000), percent(10_000, 10_000), percent(1, 10_000), percent(0, 10), percent(1, 0)]

    assert ["99.9\u202f%", "100.0\u202f%", "0.1\u202f%", "0.0\u202f%", "–"] == shown


def test_the_api_pages_windows_without_loss(filled: Collector) -> None:
    """Page by page the same windows come as all at once, each naming source, gas and causes."""
    agent = filled.get("agents")["agents"][0]["agent"]
    whole = filled.get(f"windows?agent={agent}")["windows"]
    paged: list[object] = []
    at: int | None = 0
    while at is not None:
        answer = filled.get(f"windows?agent={agent}&from_ms={at}&limit=2")
        paged += answer["windows"]
        at = answer["next_from_ms"]

    assert (whole, True) == (paged, len(whole) > 6)
    assert {"instrument:em-1", "factor:grid-factor"} == set(next(w for w in whole if w["source"] == "grid")["u_shared"])


def test_quarantined_bytes_can_be_fetched_and_are_never_shown_raw(filled: Collector) -> None:
    """The download is the exact bytes, as an attachment."""
    entry = filled.get("quarantine")["quarantine"][0]
    answer = httpx.get(f"{filled.address}/api/v1/quarantine/{entry['id']}/bytes", auth=("admin", PASSWORD))

    assert b"<script>alert(1)</script>" == answer.content
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "application/octet-stream" == answer.headers["Content-Type"]


def test_a_bad_question_is_answered_with_what_to_do(filled: Collector) -> None:
    """Errors are JSON with error and hint."""
    answer = httpx.get(f"{filled.address}/api/v1/inventories/77", auth=("admin", PASSWORD))

    assert (422, {"error", "hint"}) == (answer.status_code, set(answer.json()))


def test_commands_work_beside_the_running_service(filled: Collector) -> None:
    """Agents, hours, inventory and export run while the service holds the same books."""
    day = ("--from", "2026-01-01", "--to", "2099-01-01")
    filled.run("agents", "list")
    filled.run("hours", "--json")
    filled.run("inventory", "build", *day, "--seal")
    filled.run("inventory", "show", "1", "--json")
    assert filled.get("inventories/1")["sealed_ms"] is not None
