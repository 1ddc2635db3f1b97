from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html import unescape
from random import Random
from urllib.parse import parse_qsl, urlsplit

import openpyxl
import pytest

from collector.books import Books
from collector.hours.calendar import By
from collector.hours.cells import HOUR_MS, cells_between
from collector.hours.model import HourRow
from collector.store.days import renew_days
from collector.store.hours import replace_hours
from collector.store.inventories import compose_inventory
from collector.store.plans import site_zone, sources_known
from collector.web.emissions.gather import Explored, Wanted, explore, finer
from collector.web.language import LANGUAGES, messages
from collector.web.period import Period
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.running import Collector

DAY_MS = 24 * HOUR_MS
DAYS = 40
HOLE = range(24 * 9, 24 * 11)
"""Hours after the start of which nothing is known."""
ALL = Wanted()


@pytest.fixture
def ledger(books: Books, register: Callable[[Edge], None], ingest: Callable[..., object]) -> Books:
    """Forty days of every source of a real plan, with figures of chance; two days are missing."""
    edge, random = stream(0), Random(5)
    register(edge)
    ingest(edge, 0)
    with books.database.writing() as connection:
        zone, facts = site_zone(connection, books.plans), sources_known(connection, books.plans)
        cells = [
            cell
            for n, cell in enumerate(cells_between(START_MS, START_MS + DAYS * DAY_MS, zone))
            if n not in HOLE
        ]
        rows = {
            cell[0]: [
                HourRow(
                    edge.agent_id, fact.source, gas, *cell, mass := random.randrange(1, 10**9), 0, 0, HOUR_MS,
                    HOUR_MS - 600_000, 0, "measured", (("unknown", mass),), (("unknown", HOUR_MS),), mass * 0.01,
                    (("factor:f", mass * 0.02),), 3.0, 4.0, 60,
                )
                for fact in facts for gas in fact.gases
            ]
            for cell in cells
        }  # fmt: skip
        replace_hours(connection, edge.agent_id, rows)
        renew_days(connection, edge.agent_id, zone, [cell[0] for cell in cells])
    return books


def seen(books: Books, by: By, wanted: Wanted = ALL, days: int = DAYS, now_ms: int = 2**42) -> Explored:
    """The explorer's content from the start of the data."""
    with books.database.reading() as connection:
        zone = site_zone(connection, books.plans)
    return explore(books, Period(START_MS, START_MS + days * DAY_MS, by, zone), wanted, "AR6", now_ms)


@pytest.mark.parametrize("by", list(By))
def test_a_total_is_the_inventorys_whatever_the_step(ledger: Books, by: By) -> None:
    """CO2e and uncertainty of a period are those of its inventory, to the last milligram; its steps add up to it."""
    found = seen(ledger, by)
    with ledger.database.reading() as connection:
        inventory = compose_inventory(
            connection, ledger.plans, found.period.from_ms, found.period.to_ms, "AR6",
            "iso14064-1-default",
        )  # fmt: skip

    assert inventory.total.co2e_mg == found.co2e_mg == sum(step.co2e_mg or 0 for step in found.steps)
    assert pytest.approx(inventory.total.u_co2e_mg, rel=1e-9) == found.u_mg
    assert [(row.source, row.gas, row.co2e_mg) for row in inventory.rows] == sorted(
        ((line.fact.source, line.gas, line.co2e_mg) for line in found.lines),
        key=lambda row: [(one.source, one.gas) for one in inventory.rows].index(row[:2]),
    )
    assert inventory.covered_ms == found.covered_ms
    for line in found.lines:
        assert line.co2e_mg == sum(share or 0 for share in line.co2e)


def test_days_without_data_have_no_figure(ledger: Books) -> None:
    """Not zero, no uncertainty, nothing covered; what has not begun expects nothing."""
    first, last = HOLE.start // 24, HOLE.stop // 24
    found = seen(ledger, By.HOUR, days=12, now_ms=START_MS + 11 * DAY_MS + 12 * HOUR_MS)
    hole = found.steps[HOLE.start : HOLE.stop]
    future = found.steps[-12:]

    assert {(None, None, 0.0)} == {(step.co2e_mg, step.u_mg, step.covered) for step in hole}
    assert {None} == {step.covered for step in future}
    assert pytest.approx(50 / 60) == found.steps[0].covered
    assert (9, 11) == (first, last)


def test_only_what_is_asked_for_counts(ledger: Books) -> None:
    """One source, one gas; a source that checks another is seen alone and in no total."""
    whole = seen(ledger, By.MONTH)
    checks = {fact.source for fact in whole.facts if not fact.primary}
    gas = max(line.gas for line in whole.lines)
    one = seen(ledger, By.MONTH, Wanted(gas=gas))
    check = seen(ledger, By.MONTH, Wanted(source=next(iter(checks))))

    assert set() == checks & {line.fact.source for line in whole.lines}
    assert {gas} == {line.gas for line in one.lines}
    assert sum(line.co2e_mg for line in whole.lines if line.gas == gas) == one.co2e_mg
    assert (checks, True) == ({line.fact.source for line in check.lines}, check.co2e_mg > 0)
    assert () == seen(ledger, By.MONTH, Wanted(source="nothing")).lines


@pytest.mark.parametrize(("days", "by"), [(12, By.HOUR), (40, By.DAY)])
def test_the_heat_map_shows_the_same_figures(ledger: Books, days: int, by: By) -> None:
    """Each cell is the sum of its rows' CO2e, each rounded once; missing cells stay missing."""
    found = seen(ledger, By.DAY, days=days)
    detail = finer(ledger, found, ALL, 2**42)

    assert detail is not None
    assert by is detail.by
    missing = [step for step in detail.steps if step.co2e_mg is None]
    assert (len(HOLE) if by is By.HOUR else 1) <= len(missing)
    assert abs(found.co2e_mg - sum(step.co2e_mg or 0 for step in detail.steps)) <= len(detail.steps) * len(found.lines)
    assert None is finer(ledger, seen(ledger, By.HOUR, days=1), ALL, 2**42)


def links(page: str) -> list[str]:
    """Addresses of the figures of the table by step."""
    table = page.partition('id="steps"')[2].partition("</tbody>")[0]
    return [unescape(href) for href in re.findall(r'<td[^>]*><a href="([^"]*)"', table)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_a_day_and_leads_on(filled: Collector, language: str) -> None:
    """Figures, charts and tables in the reader's language; every known figure is a link towards its explanation."""
    with filled.browser() as client:
        month = client.get("/emissions", params={"lang": language})
        steps = [links(month.text)]
        while not all(href.startswith("/emissions/hour?") for href in steps[-1]):
            steps.append([
                inner
                for href in steps[-1]
                for inner in ([href] if href.startswith("/emissions/hour?") else links(client.get(href).text))
            ])  # fmt: skip
    hours = {tuple(sorted(parse_qsl(urlsplit(href).query))) for href in steps[-1]}

    assert 200 == month.status_code
    assert {("boiler", "CO2"), ("grid", "CO2")} <= {(dict(hour)["source"], dict(hour)["gas"]) for hour in hours}
    assert {("agent", "at", "gas", "source")} == {tuple(key for key, _ in hour) for hour in hours}
    assert ["bars", "steps", "series", "heat", "strip", "rows"] == [
        name for name in re.findall(r'id="(\w+)"', month.text)
        if name in {"bars", "steps", "series", "heat", "strip", "rows"}
    ]  # fmt: skip
    assert messages()[language]["emissions.figures"] in month.text


def test_what_is_shown_can_be_taken_along(filled: Collector) -> None:
    """CSV and XLSX hold the page's own rows as exact integers and say what they rest on."""
    with filled.browser() as client:
        page = client.get("/emissions", params={"lang": "en", "split": "gas"})
        named = [unescape(href) for href in re.findall(r'<a href="([^"]*)" download', page.text)]
        files = {urlsplit(href).query: client.get(href) for href in named}
        answers = list(files.values())
        unknown = client.get("/emissions", params={"format": "pdf"})
    steps = list(csv.reader(io.StringIO(answers[1].content.decode("utf-8-sig"))))
    book = openpyxl.load_workbook(io.BytesIO(answers[0].content))
    total = int(re.findall(r'title="(\d+) mg"', page.text)[0])

    assert [200] * 3 == [answer.status_code for answer in answers]
    assert ["Day", "CO2 [mg]"] == next(line for line in steps if line[0] == "Day")[:2]
    assert total == int(steps[-1][-3])
    assert (["steps", "rows", "basis"], total) == (
        book.sheetnames, list(book["steps"].iter_rows(values_only=True))[-1][-3]
    )  # fmt: skip
    assert {"# Period", "# GWP set", "# Time zone", "# Software", "# Leaves"} <= {line[0] for line in steps}
    assert (422, True) == (unknown.status_code, "csv, xlsx" in unknown.text)


def test_a_bad_question_keeps_the_page(filled: Collector) -> None:
    """What is wrong stands above the usual period; nothing is guessed in silence."""
    with filled.browser() as client:
        answers = {
            query: client.get(f"/emissions?lang=en&{query}")
            for query in ("from=x", "by=week", "gwp=AR9", "source=none", "from=1990&to=2026-01-01&by=hour")
        }
    said = [unescape(re.findall(r'role="alert">([^<]*)', answer.text)[0]) for answer in answers.values()]

    assert {422} == {answer.status_code for answer in answers.values()}
    starts = ("“x” is not", "There is no step", "There is no GWP", "There is no source", "This period")
    assert [] == [(text, start) for text, start in zip(said, starts, strict=True) if not text.startswith(start)]


def test_an_explorer_without_a_plan_says_what_comes_next(empty: Collector) -> None:
    """Register an agent."""
    with empty.browser() as client:
        nothing = client.get("/emissions", params={"lang": "en"})

    assert (200, True) == (nothing.status_code, "Register an agent" in nothing.text)


def test_a_period_without_data_says_where_the_data_are(filled: Collector) -> None:
    """And shows no nought."""
    with filled.browser() as client:
        before = client.get("/emissions", params={"lang": "en", "from": "2020"}).text

    assert ("No data in 2020" in before, "The ledger has data from" in before) == (True, True)
    assert [] == re.findall(r"\b0(?:\.000)? (?:mg|g|kg|t)\b", before)
