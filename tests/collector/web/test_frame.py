from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from collector.web.preferences import CLOCK, THEME, with_query
from tests.collector.running import Collector


@pytest.mark.parametrize(
    ("query", "cookie", "expected"),
    [({}, {}, "auto"), ({"theme": "dark"}, {"emitrace_theme": "light"}, "dark"), ({"theme": "x"}, {}, "auto"),
     ({}, {"emitrace_theme": "light"}, "light"), ({}, {"emitrace_theme": "x"}, "auto")],
)  # fmt: skip
def test_a_preference_is_chosen(query: dict[str, str], cookie: dict[str, str], expected: str) -> None:
    """Address before memory before default; what is no choice counts as not said."""
    assert expected == THEME.of(query, cookie)
    assert "site" == CLOCK.of(query, cookie)


def test_an_address_keeps_what_it_does_not_change() -> None:
    """The other parameters stay, in order and well quoted; None takes one away."""
    query = "site=acme%2Fnorth&from=2026-01-01&lang=en&empty="

    assert "/x?site=acme%2Fnorth&from=2026-01-01&empty=&by=day" == with_query("/x", query, {"lang": None, "by": "day"})
    assert "/x?from=2026-01-01&empty=" == with_query("/x", query, {}, without=("site", "lang"))
    assert "/x" == with_query("/x", "a=1", {"a": None})


def test_the_switches_keep_the_whole_address(empty: Collector) -> None:
    """Language, zone and theme lead to the same page with the same questions; a one-time notice is not repeated."""
    with empty.browser() as client:
        page = client.get("/?from=2026-01-01&by=day&done=built&lang=en").text
    links = {unescape(href) for href in re.findall(r'href="(/\?[^"]*)"', page)}

    asked = "/?from=2026-01-01&by=day"
    choices = ("lang=zh-CN", "tz=site", "tz=utc", "theme=auto", "theme=light", "theme=dark")
    assert {f"{asked}&{choice}" for choice in choices} == links


def test_theme_and_zone_are_remembered(empty: Collector) -> None:
    """Dark is dark on every screen, light never, automatic as the system says; UTC is said once and kept."""
    with empty.browser() as client:
        first = client.get("/", params={"lang": "en"}).text
        client.get("/", params={"theme": "dark", "tz": "utc"})
        dark = client.get("/").text
        light = client.get("/", params={"theme": "light"}).text

    media = [re.findall(r'dark\.css" media="([^"]*)"', page) for page in (first, dark, light)]
    assert [["screen and (prefers-color-scheme: dark)"], ["screen"], []] == media
    assert 1 == dark.count("Times in UTC")


def test_every_time_says_its_zone_once(filled: Collector) -> None:
    """The facility's zone with its offset stands above the page; UTC moves the times by it."""
    with filled.browser() as client:
        local = client.get("/", params={"lang": "en"}).text
        utc = client.get("/", params={"tz": "utc"}).text
    as_of = [re.findall(r"As of [\d-]+ (\d\d):", page)[0] for page in (local, utc)]

    assert (1, 1) == (local.count("Times in Asia/Shanghai (UTC+08:00)"), utc.count("Times in UTC"))
    assert int(as_of[0]) in {(int(as_of[1]) + 8) % 24, (int(as_of[1]) + 9) % 24}


def test_files_are_kept_for_a_year_under_a_name_of_their_content(empty: Collector) -> None:
    """A style sheet's address changes with its content; an old address gets today's, to be asked for again."""
    page = httpx.get(f"{empty.address}/login").text
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    answers = [httpx.get(empty.address + sheet) for sheet in sheets]
    old = httpx.get(f"{empty.address}/static/0123456789abcdef/style.css")
    gone = httpx.get(f"{empty.address}/static/0123456789abcdef/nothing.css")

    assert 2 == len(sheets)
    assert {(200, "public, max-age=31536000, immutable", "gzip")} == {
        (one.status_code, one.headers["Cache-Control"], one.headers["Content-Encoding"]) for one in answers
    }
    assert (200, "no-cache", answers[0].text) == (old.status_code, old.headers["Cache-Control"], old.text)
    assert 404 == gone.status_code


def test_the_navigation_says_where_one_is(empty: Collector) -> None:
    """One entry is the page itself; strangers get no navigation; landmarks and a way past them are there."""
    with empty.browser() as client:
        page = client.get("/", params={"lang": "en"}).text
    stranger = httpx.get(f"{empty.address}/login").text

    assert ["/"] == re.findall(r'<a href="([^"]*)" aria-current="page">', page)
    navs = [re.findall(r'<nav class="(\w+)"', text) for text in (page, stranger)]
    assert [["pages", "tools"], ["tools"]] == navs
    assert ["main"] == re.findall(r'<a class="skip" href="#(\w+)">', page)
    assert [1, 1, 1] == [len(re.findall(pattern, page)) for pattern in ("<header", '<main id="main"', "<h1")]


def test_pages_of_a_section_share_an_entry(empty: Collector) -> None:
    """The bar names the section, a row below it the page; a section leads to the first page a reader may see."""
    with empty.browser() as client:
        audit, log = (client.get(path, params={"lang": "en"}).text for path in ("/audit", "/log"))

    for page, own in ((audit, "/audit"), (log, "/log")):
        assert ["/completeness"] == re.findall(r'<a href="([^"?]*)" aria-current="true">', page)
        assert [own] == re.findall(r'<a href="([^"]*)" aria-current="page">', page)
        assert ["pages", "tools", "section"] == re.findall(r'<nav class="(\w+)"', page)


def test_people_get_errors_as_pages(empty: Collector) -> None:
    """A wrong method on a page answers with a page that leads home, in the reader's language."""
    with empty.browser() as client:
        client.get("/", params={"lang": "zh-CN"})
        answer = client.put("/")

    assert (405, "text/html; charset=utf-8") == (answer.status_code, answer.headers["Content-Type"])
    assert "返回总览" in answer.text
