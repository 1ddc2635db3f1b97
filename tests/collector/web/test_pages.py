from __future__ import annotations

import csv
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import openpyxl
import pytest

from collector.books import Books
from collector.hours.cells import HOUR_MS
from collector.store.refresh import refresh_hours
from collector.web.language import LANGUAGES, choose, messages
from collector.web.overview import gather
from collector.web.shown import instant, mass_unit, percent
from protocols.records import Fate
from protocols.transparency.checkpoint import open_checkpoint
from protocols.transparency.note import read_key
from protocols.transparency.proofs import inclusion_root, is_consistent
from protocols.wire.errors import Reason
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.running import PASSWORD, Collector, hidden
from tests.collector.web.conftest import NOW_MS
from tests.services import wait_until

TEMPLATES = Path(__file__).parents[3] / "collector" / "web" / "templates"


def test_an_inventory_is_built_and_sealed_on_the_page(filled: Collector) -> None:
    """The forms work without any script; sealing takes a second step; a sealed version offers none."""
    with filled.browser() as client:
        page = client.get("/inventory").text
        times = dict(re.findall(r'name="(from_|to)"[^>]*value="([^"]+)"', page))
        csrf = hidden(page)["csrf"]
        built = client.post("/inventory/build", data=times | {"gwp": "AR5", "csrf": csrf}, follow_redirects=True)
        version = built.url.path
        asked = client.get(f"{version}?seal=1")
        unchecked = client.post(f"{version}/seal", data={"csrf": csrf})
        before = client.get(f"/api/v1{stored_at(version)}").json()
        sure = {"csrf": csrf, "checked": "yes"}
        sealed = client.post(f"{version}/seal", data=sure, follow_redirects=True)
        again = client.post(f"{version}/seal", data=sure)

        assert (200, 422, 200, 422) == (built.status_code, unchecked.status_code, sealed.status_code, again.status_code)
        assert None is before["sealed_ms"]
        offered = [f"{version}/seal" in one.text for one in (built, asked, unchecked, sealed)]
        assert [False, True, True, False] == offered
        assert f"{version}?seal=1" in built.text
        stored = client.get(f"/api/v1{stored_at(version)}").json()
    assert "AR5" == stored["inventory"]["pinned"]["gwp_set"]
    assert stored["sealed_ms"] is not None


def stored_at(version: str) -> str:
    """Where the API has the version of a page."""
    return version.replace("/inventory/", "/inventories/")


def test_what_cannot_be_built_is_said_in_the_pages_language(empty: Collector) -> None:
    """The page comes back with what to change and with the form as it was; no version is made."""
    good = {"from_": "2026-01-01T00:00", "to": "2026-02-01T00:00", "gwp": "AR6"}
    cases: list[tuple[dict[str, str], str]] = [
        ({"to": "2025-01-01T00:00"}, "period.empty"),
        ({"from_": "2026-01-01T00:30"}, "period.cut"),
        ({"from_": "0001-01-01T00:00"}, "period.far"),
        ({"to": "9999-12-31T23:00"}, "period.far"),
        ({"from_": "x" * 200}, "period.unreadable"),
        ({"from_": ""}, "period.unreadable"),
        ({"from_": "9000-01-01T00:00", "to": "9001-01-01T00:00"}, "period.future"),
        ({"gwp": "AR9"}, "gwp.unknown"),
    ]
    with empty.browser() as client:
        for language in LANGUAGES:
            csrf = hidden(client.get("/", params={"lang": language}).text)["csrf"]
            for changed, key in cases:
                form = good | changed
                answer = client.post("/inventory/build", data=form | {"csrf": csrf})
                said = unescape(re.findall(r'role="alert">([^<]*)', answer.text)[0]).strip()
                pattern = re.sub(r"\\{\w+\\}", ".*", re.escape(messages()[language][key]))

                assert (422, True) == (answer.status_code, re.fullmatch(pattern, said) is not None), (key, said)
                assert f'value="{form["to"]}"' in answer.text
        assert [] == client.get("/api/v1/inventories").json()["inventories"]


def test_a_version_is_looked_at_before_it_is_sealed(filled: Collector) -> None:
    """Its page shows figures and basis; the bundle it offers holds the version's own GWP set."""
    hour = NOW_MS - NOW_MS % HOUR_MS
    period = {"from_ms": hour, "to_ms": hour + HOUR_MS, "gwp_set": "AR5"}
    made = httpx.post(f"{filled.address}/api/v1/inventories", json=period, auth=("admin", PASSWORD)).json()
    with filled.browser() as client:
        version = f"/inventory/{made['version']}"
        page = client.get(version, params={"lang": "en"}).text
        bundle = client.get(unescape(re.findall(r'href="(/api/v1/bundle[^"]*)"', page)[0]))
        missing = client.get("/inventory/999")

    assert [] == [text for text in (made["digest"], "not sealed", "AR5", f"{version}?seal=1") if text not in page]
    assert (200, True) == (bundle.status_code, b'"gwp_set":"AR5"' in bundle.content)
    assert (404, True) == (missing.status_code, "no version 999" in missing.text)


def test_missing_is_never_shown_as_zero(filled: Collector) -> None:
    """A version of a time without data has dashes, not noughts, and null in the API."""
    hour = NOW_MS - NOW_MS % HOUR_MS
    period = {"from_ms": hour - 48 * HOUR_MS, "to_ms": hour - 24 * HOUR_MS}
    made = httpx.post(f"{filled.address}/api/v1/inventories", json=period, auth=("admin", PASSWORD)).json()
    with filled.browser() as client:
        page = client.get(f"/inventory/{made['version']}", params={"lang": "en"}).text
        listed = client.get("/api/v1/inventories").json()["inventories"]

    assert [(None, 0)] == [(v["co2e_mg"], v["covered_ms"]) for v in listed if v["version"] == made["version"]]
    assert messages()["en"]["head.nothing"] in page
    assert [] == re.findall(r"\b0(?:\.000)? (?:mg|g|kg|t)\b|> *0(?:\.000)? *<", page)


def test_what_leads_nowhere_says_so(empty: Collector) -> None:
    """Pages in the page's language, the API in JSON; an expired form leads to the sign-in and says why."""
    with empty.browser() as client:
        client.get("/", params={"lang": "zh-CN"})
        pages = {path: client.get(path).status_code for path in ("/docs", "/inventory/x", f"/inventory/{9**30}")}
        said = client.get("/docs").text
        numbers = [
            f"inventories/{9**30}",
            f"items/{9**30}/bytes",
            "hours?from_ms=5&to_ms=3",
            "bundle?from_ms=9&to_ms=3",
        ]
        answers = {path: client.get(f"/api/v1/{path}") for path in numbers}
        api = client.get("/api/v1/nothing")
        home = client.get("/inventory/build")
        client.cookies.delete("emitrace_session")
        expired = client.post("/inventory/build", data={}, follow_redirects=True)

    assert {404} == set(pages.values())
    assert "没有这个页面：/docs" in said
    assert {path: (422, {"error", "hint"}) for path in numbers} == {
        path: (answer.status_code, set(answer.json())) for path, answer in answers.items()
    }
    assert (404, {"error", "hint"}) == (api.status_code, set(api.json()))
    assert (303, "/") == (home.status_code, home.headers["Location"])
    assert messages()["zh-CN"]["sign-in.expired"] in expired.text


def test_a_failed_sign_in_keeps_name_and_language(empty: Collector) -> None:
    """A stranger's language goes along to the sign-in page; the name need not be typed twice."""
    first = httpx.get(f"{empty.address}/", params={"lang": "en"}, headers={"Accept-Language": "zh"})
    with httpx.Client(base_url=empty.address) as client:
        token = hidden(client.get("/login").text)["token"]
        again = client.post("/login", data={"username": "ad<min", "password": "x", "token": token}).text

    assert "/login?lang=en" == first.headers["Location"]
    assert 'value="ad&lt;min"' in again


def test_the_month_counts_the_time_since_data_began(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., object]
) -> None:
    """Within the first month from the first hour on, later from the month's midnight; silence lowers completeness."""
    edge = stream(4, window_s=60)
    register(edge)
    ingest(edge, *range(5))
    refresh_hours(books.database, books.plans, books.hour_rule)
    ten_days, next_month = START_MS + 240 * HOUR_MS, START_MS + 40 * 24 * HOUR_MS
    soon, later, silent = (gather(books, at).month for at in (START_MS + 600_000, ten_days, next_month))

    assert soon is not None
    assert later is not None
    assert silent is not None
    assert (START_MS, START_MS, 600_000, 240 * HOUR_MS) == (
        soon.inventory.from_ms, later.inventory.from_ms, soon.due_ms, later.due_ms,
    )  # fmt: skip
    assert soon.inventory.total == later.inventory.total
    assert (0, True) == (silent.inventory.covered_ms, silent.inventory.from_ms > START_MS + 20 * 24 * HOUR_MS)
    assert None is gather(books, START_MS - 30 * 24 * HOUR_MS).month


def test_latest_hours_name_their_sources(filled: Collector) -> None:
    """The name of the plan, in the page's language."""
    with filled.browser() as client:
        pages = [client.get("/", params={"lang": language}).text for language in LANGUAGES]
    found = [set(re.findall(r'<td data-label="(?:Source|排放源)">([^<]*)', page)) for page in pages]

    assert [{"外购电力", "锅炉", "烟囱"}, {"Purchased electricity", "Boiler", "Stack"}] == found


def test_the_overviews_figures_lead_on(filled: Collector) -> None:
    """The month's total and completeness open the explorer on the month; each hour of the chart opens that hour."""
    with filled.browser() as client:
        page = client.get("/", params={"lang": "en"}).text
        figures = [unescape(href) for href in re.findall(r'<a class="bare" href="([^"]*)"', page)]
        hours = [unescape(href) for href in re.findall(r'<a href="([^"]*)" tabindex="-1"', page)]
        answers = [client.get(href) for href in (*figures, hours[-1])]

    assert ([200] * 3, 24) == ([answer.status_code for answer in answers], len(hours))
    assert ["by=day", "by=day", "by=hour"] == [
        re.findall(r"by=\w+", href)[0] for href in (*figures, hours[-1])
    ]  # fmt: skip


def test_the_overviews_lists_can_be_taken_along(filled: Collector) -> None:
    """Each list as CSV and all as sheets of one XLSX, with the ledger's own integers and what they rest on."""
    period = {"from_ms": NOW_MS - NOW_MS % HOUR_MS, "to_ms": NOW_MS - NOW_MS % HOUR_MS + HOUR_MS}
    made = httpx.post(f"{filled.address}/api/v1/inventories", json=period, auth=("admin", PASSWORD)).json()
    with filled.browser() as client:
        page = client.get("/", params={"lang": "en"}).text
        links = sorted({unescape(href) for href in re.findall(r'href="(/\?format=[^"]*)"', page)})
        answers = {href: client.get(href) for href in links}
        other = client.get("/?format=pdf")
    names = ("agents", "hours", "quarantine", "slots", "versions")
    files = {name: answers[f"/?format=csv&table={name}"].content.decode("utf-8-sig") for name in names}
    lists = {
        name: list(csv.DictReader(line for line in text.splitlines() if not line.startswith(("#", '"#'))))
        for name, text in files.items()
    }

    assert (6, {200}, 422) == (len(links), {one.status_code for one in answers.values()}, other.status_code)
    book = openpyxl.load_workbook(io.BytesIO(answers["/?format=xlsx"].content))
    assert len(names) + 1 == len(book.sheetnames)  # and the one that says what they rest on
    hours = filled.get("hours")["hours"]
    assert sorted(int(one["mass_mg"]) for one in hours) == sorted(int(one["Mass [mg]"]) for one in lists["hours"])
    assert ["boiler <house>"] == [one["Agent"] for one in lists["agents"]]
    assert "1" == lists["quarantine"][0]["Times"]
    assert made["digest"] in files["versions"]
    assert all(filled.get("log")["origin"] in text for text in files.values())


def test_a_time_out_of_any_calendar_breaks_no_page() -> None:
    """A figure that no date fits is shown as it is."""
    shown = [instant(at_ms, ZoneInfo("Asia/Shanghai")) for at_ms in (-(10**15), 2**48, None)]

    assert ["-1000000000000000 ms", f"{2**48} ms", "–"] == shown


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["empty", "filled"])
def test_the_overview_speaks_both_languages(request: pytest.FixtureRequest, state: str, language: str) -> None:
    """Empty or filled, the page is whole, remembers its language, names no outside host and runs no script."""
    one: Collector = request.getfixturevalue(state)
    with one.browser() as client:
        page = client.get("/", params={"lang": language})
        later = client.get("/")

    assert (200, f'<html lang="{language}">') == (page.status_code, re.findall("<html[^>]*>", later.text)[0])
    foreign = page.text.replace(one.address, "")  # a print says where it comes from
    assert [] == re.findall(r"<script|https?://|javascript:|style=", foreign)
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
    assert set() == {f"fate.{fate.name.lower().replace('_', '-')}" for fate in Fate} - zh.keys()
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
    version = max(one["version"] for one in filled.get("inventories")["inventories"])
    filled.run("inventory", "show", str(version), "--json")
    assert filled.get(f"inventories/{version}")["sealed_ms"] is not None


def test_the_log_proves_itself_over_http(filled: Collector) -> None:
    """Checkpoint, audit path and consistency proof of the API hold under the key that the API names."""
    log = filled.get("log")
    wait_until(lambda: filled.get("log")["checkpoint"], 20, "the first checkpoint")
    newest = filled.get("log/checkpoints")["checkpoints"][0]
    head = open_checkpoint(newest["note"].encode(), read_key(log["key"]).public)
    text = httpx.get(f"{filled.address}/api/v1/log/checkpoint", auth=("admin", PASSWORD)).text
    told = filled.get("log/proof?position=0")
    same = filled.get(f"log/proof?kind={told['leaf']['kind']}&id={told['leaf']['id']}")
    path = tuple(map(bytes.fromhex, told["path"]))
    between = filled.get(f"log/consistency?first=1&second={head.size}")
    refused = [
        httpx.get(f"{filled.address}/api/v1/log/{path}", auth=("admin", PASSWORD)).status_code
        for path in ("proof?position=99999999", "proof?kind=item&id=none", "consistency?first=2&second=1")
    ]

    assert (head.origin, head.size, head.root.hex()) == (log["origin"], newest["size"], newest["root"])
    assert newest["note"] == text
    assert told == same
    assert head.root == inclusion_root(bytes.fromhex(told["leaf"]["hash"]), 0, head.size, path)
    assert told["tlog_proof"].startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert is_consistent(
        1, bytes.fromhex(between["first"]["root"]), head.size, head.root, tuple(map(bytes.fromhex, between["proof"]))
    )
    assert [404, 404, 422] == refused


def test_the_pages_of_the_log_lead_to_a_proof_that_anybody_can_check(filled: Collector, tmp_path: Path) -> None:
    """From the log to a leaf, its proof as a file, and the command on the page, which needs no collector."""
    wait_until(lambda: filled.get("log")["checkpoint"], 20, "the first checkpoint")
    with filled.browser() as client:
        log = client.get("/log", params={"lang": "en"}).text
        found = client.get("/log", params={"leaf": "0"}, follow_redirects=False)
        none = client.get("/log", params={"leaf": "item nothing"})
        leaf = client.get(found.headers["Location"], params={"lang": "en"}).text
        file = re.findall(r'href="(/api/v1/log/leaves/0/proof\?size=\d+)" download="([^"]+)"', leaf)
        note = re.findall(r'href="(/api/v1/log/checkpoints/\d+)"', log)
        (tmp_path / file[0][1]).write_bytes(client.get(file[0][0]).content)
        signed = client.get(note[0])
        gone = [client.get(f"/api/v1/log/{path}").status_code for path in ("checkpoints/9999", "leaves/9999999/proof")]
    command = shlex.split(unescape(re.findall(r"<pre[^>]*>(?:<code>)?(emitrace-verify [^<]+)", leaf)[0]))
    done = subprocess.run(
        [sys.executable, "-m", "collector.evidence.verify", *command[1:]], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert (303, "/log/leaf/0", 404) == (found.status_code, found.headers["Location"], none.status_code)
    assert filled.get("log")["origin"] in log
    assert open_checkpoint(signed.content, read_key(filled.get("log")["key"]).public).size > 0
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "leaf 0 is " in done.stdout
    assert [404, 404] == gone
