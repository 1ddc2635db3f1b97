"""The due list, an instrument, its files and the calendar: what they say, as known when, and to whom."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime

import httpx
import pytest

from calibration.due import Bucket, bucket_of
from calibration.events import What
from calibration.evidence import Kind, Result
from calibration.instruments import Instrument, Level, Part, Use
from calibration.status import Reason, State, Status
from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.books import open_books
from collector.calibration.feed import calendar, fold
from collector.calibration.form import EVENT_FIELDS, INSTRUMENT_FIELDS
from collector.calibration.impact import Why
from collector.calibration.overview import Standing
from collector.clock import now_ms
from collector.config import load_config
from collector.store.calibration import add_record
from collector.store.evidence_files import add_file
from collector.web.language import LANGUAGES, messages
from protocols.plan.model import Regime
from tests.calibration.happenings import happened, meter, percent
from tests.collector.running import PASSWORD, Collector, hidden

MADE_MS = int(datetime(2026, 3, 1, 8, tzinfo=UTC).timestamp() * 1000)


def standing(name: str = "em-1", last: date | None = date(2026, 3, 31), **more: str) -> Standing:
    one = Instrument(name, "A-1", Regime.USER_DEFINED, **more)  # type: ignore[arg-type]
    days = None if last is None else (last - date(2026, 3, 1)).days
    return Standing(one, "org/site", "Asia/Shanghai", Status(State.DUE_SOON, "v", None), last, days,
                    bucket_of(State.DUE_SOON, days))  # fmt: skip


def unfolded(data: bytes) -> list[str]:
    assert data.endswith(b"\r\n")
    assert b"\n" not in data.replace(b"\r\n", b"")
    return data.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]


def test_a_calendar_holds_a_day_per_instrument() -> None:
    """RFC 5545: a day without a time, ending with the day after, a reminder, one UID for ever."""
    lines = unfolded(calendar([standing(), standing("new", None)], "https://emitrace.example.org", MADE_MS))

    assert ["BEGIN:VCALENDAR", "VERSION:2.0"] == lines[:2]
    assert lines.count("BEGIN:VEVENT") == 1
    for wanted in ("DTSTART;VALUE=DATE:20260331", "DTEND;VALUE=DATE:20260401", "DTSTAMP:20260301T080000Z",
                   "TRIGGER:-P30D", "URL:https://emitrace.example.org/calibration/instruments/em-1"):  # fmt: skip
        assert wanted in lines
    later = unfolded(calendar([standing(last=date(2027, 3, 31))], "https://emitrace.example.org", MADE_MS + 1))
    assert [line for line in lines if line.startswith("UID:")] == [line for line in later if line.startswith("UID:")]


def test_nothing_in_a_name_becomes_a_property() -> None:
    """Separators are escaped, line breaks and control characters never get through (3.3.11)."""
    bad = "a,b;c\\d\r\nATTENDEE:x\x07"
    lines = unfolded(calendar([standing(location=bad, name_zh=bad)], "http://x", MADE_MS))

    assert "LOCATION:a\\,b\\;c\\\\d\\nATTENDEE:x" in lines
    assert not any(line.startswith("ATTENDEE") for line in lines)


@pytest.mark.parametrize("text", ["x" * 75, "x" * 76, "检定" * 60, "a" + "检" * 25, ""])
def test_a_line_is_folded_within_75_octets(text: str) -> None:
    """Between characters, and what was folded reads as it was (3.1)."""
    data = fold(text)

    assert all(len(piece) <= 75 for piece in data.split(b"\r\n"))
    assert text == data.decode().replace("\r\n ", "").removesuffix("\r\n")
    for piece in data.split(b"\r\n"):
        piece.decode()


def test_every_word_of_a_closed_list_is_translated() -> None:
    """States, reasons, events, documents, results, parts of chains, buckets, regimes, and the fields of the forms."""
    lists: dict[str, list[str]] = {
        "calibration": [one.value for one in State],
        "calibration.reason": [one.value for one in Reason if one.value],
        "calibration.what": [one.value for one in What],
        "calibration.kind": [one.value for one in Kind],
        "calibration.result": [one.value for one in Result],
        "calibration.part": [one.value for one in Part],
        "calibration.bucket": [one.value for one in Bucket],
        "calibration.why": [one.value for one in Why],
        "calibration.use": [one.value for one in Use],
        "calibration.level": [one.value for one in Level],
        "regime": [one.value for one in Regime],
        "entry.field": [one.name for one in (*EVENT_FIELDS, *INSTRUMENT_FIELDS)],
    }
    for language in LANGUAGES:
        known = messages()[language]
        assert [] == [f"{prefix}.{word}" for prefix, words in lists.items() for word in words
                      if f"{prefix}.{word}" not in known]  # fmt: skip


@pytest.fixture(scope="module")
def entered(filled: Collector) -> str:
    """A meter with a scan and two tests, the second in place of the first; the SHA-256 of the scan."""
    with open_books(load_config(filled.folder / "collector.toml")) as books, books.database.writing() as connection:
        sha = add_file(connection, b"%PDF-1.7 scan", "scan.pdf", "application/pdf", now_ms(), "li")
        for record in (
            meter(location="boiler <house>"), happened("first", "2026-01-10", valid_until=date(2027, 1, 9)),
            happened("second", "2026-01-11", valid_until=date(2099, 1, 9), supersedes="first"),
        ):  # fmt: skip
            add_record(connection, books.plans, record, now_ms(), "li")
    return sha


def test_the_list_and_the_instrument_say_what_was_entered(filled: Collector, entered: str) -> None:
    """What was superseded stays; what an instrument is called is never markup; an unknown one is 404."""
    with filled.browser() as client:
        listed = client.get("/calibration?all=1&lang=en").text
        one = client.get("/calibration/instruments/meter?lang=en").text
        before = client.get("/calibration/instruments/meter?lang=en&known=2020-01-01")
        wrong = client.get("/calibration?known=yesterday&lang=en")
        gone = client.get("/calibration/instruments/nothing?lang=en")

    assert "/calibration/instruments/meter" in listed
    assert "2099-01-09" in listed
    assert "boiler &lt;house&gt;" in one
    assert all(word in one for word in ("first", "second", "Superseded by"))
    assert (404, 422, 404) == (before.status_code, wrong.status_code, gone.status_code)


def test_the_list_leaves_as_a_file(filled: Collector, entered: str) -> None:
    """The same rows; what it rests on is written beside them."""
    with filled.browser() as client:
        found = client.get("/calibration?all=1&format=csv&lang=en")

    assert found.headers["Content-Disposition"] == 'attachment; filename="calibration.csv"'
    assert any(line.startswith("meter,A-1,") for line in found.text.splitlines())
    assert "As known now" in found.text


def test_a_file_is_shown_as_it_was_handed_in_and_can_do_nothing(filled: Collector, entered: str) -> None:
    """Its bytes, its type, in a sandbox."""
    with open_books(load_config(filled.folder / "collector.toml")) as books, books.database.writing() as connection:
        page = add_file(connection, b"<script>", "dcc.xml", "text/xml", now_ms(), "li")
    with filled.browser() as client:
        found, other = client.get(f"/calibration/files/{entered}"), client.get(f"/calibration/files/{page}")
        missing = client.get(f"/calibration/files/{'0' * 64}")

    assert (b"%PDF-1.7 scan", "application/pdf") == (found.content, found.headers["Content-Type"])
    assert "sandbox" in found.headers["Content-Security-Policy"]
    assert found.headers["Content-Disposition"].startswith("inline")
    assert other.headers["Content-Disposition"].startswith("attachment")
    assert missing.status_code == 404


def test_a_calendar_program_sends_a_token_as_its_password(filled: Collector, entered: str) -> None:
    """The account's own name beside it does not matter; a wrong token is refused, and no token is no calendar."""
    with open_books(load_config(filled.folder / "collector.toml")) as books:
        token, _ = Register(books.database).make_token("admin", "calendar", ("read",), 1, by="test")

    def asked(secret: str) -> httpx.Response:
        basic = base64.b64encode(f"calendar:{secret}".encode()).decode()
        return httpx.get(f"{filled.address}/calibration/due.ics", headers={"Authorization": f"Basic {basic}"})

    found = asked(token)
    assert (200, "text/calendar; charset=utf-8") == (found.status_code, found.headers["Content-Type"])
    assert "DTSTART;VALUE=DATE:20990109" in unfolded(found.content)
    assert asked(token[:-1] + "x").status_code == 401
    assert httpx.get(f"{filled.address}/calibration/due.ics", follow_redirects=False).status_code in {302, 303, 401}


VALUES = {
    "instrument": "meter", "serial": "A-1", "what": "calibration", "performed_on": "2026-05-01", "result": "pass",
    "valid_until": "2027-04-30", "document.kind": "calibration-certificate", "document.number": "CAL-7",
    "uncertainty.expanded": "0.1", "uncertainty.k": "2", "uncertainty.unit": "%", "as_found": "5 0.12 %\n100；-0.3；%",
}  # fmt: skip


def test_a_paper_certificate_is_checked_then_kept_with_its_scan(filled: Collector, entered: str) -> None:
    """Nothing is kept before what the checks found was shown; what is changed after that is shown again."""
    with filled.browser() as client:
        csrf = hidden(client.get("/calibration/enter/event?instrument=meter").text)["csrf"]

        def send(values: dict[str, str], data: bytes = b"") -> httpx.Response:
            files = {"file": ("scan.png", data, "image/png")} if data else {"file": ("", b"", "application/x")}
            return client.post("/calibration/enter/event", data=values | {"csrf": csrf}, files=files)

        looked = send(VALUES, b"a scan")
        shown = hidden(looked.text)
        changed = send(VALUES | shown | {"valid_until": "2028-04-30"})
        before = client.get("/calibration/instruments/meter").text
        kept = send(VALUES | shown)
        after = client.get("/calibration/instruments/meter?lang=en").text
        again = send(VALUES | shown)
        broken = send(VALUES | {"performed_on": "2026-02-30", "as_found": "five"})
        large = send(VALUES, b"x" * (21 * 1024 * 1024))
        page = send(VALUES, b"x" * 100)

    assert (200, 200, 303, 303, 422) == tuple(
        one.status_code for one in (looked, changed, kept, again, broken)
    ), broken.text
    assert "CAL-7" not in before
    assert "CAL-7" in after
    assert shown["sha256"][:12] in after
    assert "meter-2026-05-01-calibration" in after
    assert "looked" in hidden(changed.text)
    assert hidden(changed.text)["looked"] != shown["looked"]
    assert all(word in broken.text for word in ("2026-02-30", "five"))
    assert (413, 200) == (large.status_code, page.status_code)


def test_an_instrument_is_entered_by_its_form(filled: Collector, entered: str) -> None:
    """Looked at, then kept; a wrong figure names its field."""
    values = {"id": "ct-7", "serial": "C-7", "regime": "mandatory-periodic", "uses": "trade", "class_name": "0.2S",
              "mpe.percent_of_reading": "0.2", "range.low": "0", "range.high": "600", "range.unit": "A"}  # fmt: skip
    with filled.browser() as client:
        csrf = hidden(client.get("/calibration/enter/instrument").text)["csrf"]
        wrong = client.post("/calibration/enter/instrument?lang=en",
                            data=values | {"csrf": csrf, "mpe.percent_of_reading": "0,2"})  # fmt: skip
        looked = client.post("/calibration/enter/instrument", data=values | {"csrf": csrf})
        kept = client.post("/calibration/enter/instrument", data=values | hidden(looked.text))
        one = client.get("/calibration/instruments/ct-7?lang=en").text

    assert (422, 200, 303) == (wrong.status_code, looked.status_code, kept.status_code)
    assert "0,2" in wrong.text
    assert "0.2 %" in one
    assert "600" in one


def test_an_interval_is_proposed_to_whom_sets_it_himself(filled: Collector, entered: str) -> None:
    """Three steady tests lengthen it; under mandatory verification nothing is proposed."""
    with open_books(load_config(filled.folder / "collector.toml")) as books, books.database.writing() as connection:
        for name, regime in (("own", Regime.USER_DEFINED), ("legal", Regime.MANDATORY_PERIODIC)):
            add_record(connection, books.plans, meter(regime, id=name, serial="P-1"), now_ms(), "li")
            for year in (2022, 2023, 2024):
                test = happened(
                    f"{name}-{year}", f"{year}-05-01", instrument=name, serial="P-1", as_found=(percent("5", "0.3"),),
                    valid_until=date(year + 1, 4, 30),
                )
                add_record(connection, books.plans, test, now_ms(), "li")
    with filled.browser() as client:
        own, legal = (client.get(f"/calibration/instruments/{name}?lang=en").text for name in ("own", "legal"))

    assert "Proposed interval: 15 months." in own
    assert "Proposed interval" not in legal


def test_only_who_may_enter_sees_the_forms(filled: Collector, entered: str) -> None:
    """A technician reads; a token enters nothing."""
    with open_books(load_config(filled.folder / "collector.toml")) as books:
        if "reader" not in {user.name for user, _ in Register(books.database).everybody()}:
            Register(books.database).add("reader", Role.TECHNICIAN, PASSWORD, by="test")
    with filled.browser("reader") as client:
        assert client.get("/calibration?all=1").status_code == 200
        assert "/calibration/enter" not in client.get("/calibration?all=1").text
        assert client.get("/calibration/enter/event").status_code == 403
