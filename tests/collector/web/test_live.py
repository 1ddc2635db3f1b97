"""The live pages and their events over HTTP: who may see them, what they say, how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from html import unescape

import httpx
import pytest

from collector.books import Books
from collector.clock import now_ms
from collector.hours.lives import Lives, Trust
from collector.live.hub import MOST_OF_A_USER
from collector.live.latest import Latest
from collector.web.language import LANGUAGES, Words
from collector.web.live import AgentCard, agent_cards, ago, grouped
from protocols.messages import Ack
from tests.collector.edge import Edge, stream
from tests.collector.running import PASSWORD, Collector
from tests.services import wait_until

SITE = "/live/org/site"
AUTH = ("admin", PASSWORD)
EN = Words("en")


def cards(books: Books, words: Words = EN) -> AgentCard:
    with books.database.reading() as connection:
        agents = Latest(books.plans).of_site(connection, "org/site")
    (card,) = agent_cards(agents, Lives(Trust()), words, now_ms())
    return card


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("0", "0"), ("0.50", "0.5"), ("-0.125", "−0.125"), ("1234567.80", "1\u202f234\u202f567.8"),
     ("-1E+4", "−10\u202f000"), ("1E-7", "0.0000001")],
)  # fmt: skip
def test_a_value_is_shown_whole_and_what_is_missing_is_no_nought(value: str | None, text: str) -> None:
    """Every digit, in groups; no exponent; a dash for nothing."""
    assert text == grouped(None if value is None else Decimal(value))


def test_ages_use_the_largest_fitting_unit() -> None:
    """Seconds, minutes, hours, days; a dash where nobody knows."""
    said = [ago(EN, ms) for ms in (0, 89_999, 90_000, 5_399_999, 5_400_000, 172_800_000, None)]

    assert ["0 s ago", "89 s ago", "1 min ago", "89 min ago", "1 h ago", "2 d ago", "–"] == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_missing_says_why_and_keeps_its_last_value(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None], language: str
) -> None:
    """A dash, the letter M with the reason in words, and the last value beside it; instruments without certificate."""
    edge, words = stream(1), Words(language)
    edge.add_batch(missing_slots=10**6)
    register(edge)
    ingest(edge, 0, 1, 2)
    card = cards(books, words)
    flow = next(point for point in card.points if point.id == "stack-1.flow")

    assert ("–", "M", "12\u202f000") == (flow.value, flow.quality, flow.held)
    assert words("quality.M", reason=words("fate.timeout")) == flow.says
    assert (0, None, len(card.instruments)) == (card.good, card.newest_ms, card.unsound)


def test_a_point_that_nothing_ever_came_from_is_shown_all_the_same(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """Before the first batch: every point of the plan, each with a dash and words."""
    edge = stream(1)
    register(edge)
    ingest(edge, 0)
    card = cards(books)

    assert len(edge.plan.points) == len(card.points)
    assert {("–", "M", EN("live.nothing"), None)} == {(p.value, p.quality, p.says, p.age_ms) for p in card.points}


def test_the_pages_show_the_last_values_without_any_script(filled: Collector) -> None:
    """The list leads to the site; the site shows value, unit, letter and calibration, and a link to refresh."""
    with filled.browser() as client:
        for language in LANGUAGES:
            words = Words(language)
            listed = unescape(client.get("/live", params={"lang": language}).text)
            page = unescape(client.get(SITE, params={"lang": language}).text)
            lost = client.get("/live/org/nowhere", params={"lang": language})

            assert f'href="{SITE}"' in listed
            assert words("live.calibration.bad", n=3) in listed
            assert '<span class="value">12\u202f000</span> <span class="unit">m³/h</span>' in page
            assert words("quality.G") in page
            assert words("calibration.unknown") in page
            assert words("refresh") in page
            assert f'data-events="{SITE}/events"' in page
            assert 404 == lost.status_code
            assert words("live.site.unknown", seen="org/nowhere") in unescape(lost.text)


def test_a_collector_without_sites_says_what_comes_next(empty: Collector) -> None:
    """No empty list: what has to happen for a site to appear."""
    with empty.browser() as client:
        for language in LANGUAGES:
            assert Words(language)("live.none") in unescape(client.get("/live", params={"lang": language}).text)


def test_events_are_for_those_who_may_read(filled: Collector) -> None:
    """A stranger is sent away, an unknown site is not found, a script with its password listens."""
    address = f"{filled.address}{SITE}/events"
    stranger = httpx.get(address)
    nowhere = httpx.get(f"{filled.address}/live/org/nowhere/events", auth=AUTH)
    with httpx.stream("GET", address, auth=AUTH, timeout=10) as answer:
        lines = answer.iter_lines()
        head = [next(lines) for _ in range(5)]

    assert 303 == stranger.status_code
    assert (404, "there is no site org/nowhere") == (nowhere.status_code, nowhere.json()["error"])
    assert (200, "no-store", "no") == (
        answer.status_code, answer.headers["cache-control"], answer.headers["x-accel-buffering"]
    )  # fmt: skip
    assert ["retry: 3000", "", "id: 1", "event: site"] == head[:4]
    flow = next(one for one in json.loads(head[4].removeprefix("data: "))["readings"] if one["point"] == "stack-1.flow")
    assert ("12000", "m3/h", "G", False) == (flow["value"], flow["unit"], flow["quality"], flow["live"])


def test_too_many_streams_of_one_person_are_refused_until_one_is_closed(filled: Collector) -> None:
    """Refused with what to do and when; a place that is left is free at once."""
    address = f"{filled.address}{SITE}/events"

    def status(client: httpx.Client) -> int:
        with client.stream("GET", address) as answer:
            return answer.status_code

    with httpx.Client(auth=AUTH, timeout=10, limits=httpx.Limits(max_connections=None)) as client, ExitStack() as open_:
        for _ in range(MOST_OF_A_USER):
            assert 200 == open_.enter_context(client.stream("GET", address)).status_code
        refused = client.get(address)
        open_.close()
        wait_until(lambda: status(client) == 200, 5, "a free place")

    assert (429, "30") == (refused.status_code, refused.headers["retry-after"])
    assert "your account" in refused.json()["error"]


def test_a_stream_ends_when_its_reader_signs_out(filled: Collector) -> None:
    """The session is looked at again while the stream runs."""
    with filled.browser() as client:
        csrf = client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
        with httpx.Client(base_url=filled.address, cookies=client.cookies, timeout=40) as other, other.stream(
            "GET", f"{SITE}/events"
        ) as answer:
            lines = answer.iter_lines()
            assert "retry: 3000" == next(lines)
            assert 303 == client.post("/logout", data={"csrf": csrf}).status_code
            rest = list(lines)  # ends by itself

    assert any(line.startswith("event: site") for line in rest)
