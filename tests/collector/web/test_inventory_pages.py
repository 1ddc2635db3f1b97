from __future__ import annotations

import csv
import io
import re
from html import unescape

import httpx

from collector.hours.cells import HOUR_MS
from tests.collector.running import PASSWORD, Collector
from tests.collector.web.conftest import NOW_MS

HOUR = NOW_MS - NOW_MS % HOUR_MS


def table_of(data: bytes) -> list[dict[str, str]]:
    """Rows of a CSV export by heading, without the lines that say what it rests on."""
    lines = [line for line in data.decode("utf-8-sig").splitlines() if not line.startswith(("#", '"#'))]
    return list(csv.DictReader(io.StringIO("\n".join(lines))))


def test_a_version_leaves_as_it_is(filled: Collector) -> None:
    """Rows and matrix of the files are the version's own integers, and the file names the version's digest."""
    period = {"from_ms": HOUR, "to_ms": HOUR + HOUR_MS}
    made = httpx.post(f"{filled.address}/api/v1/inventories", json=period, auth=("admin", PASSWORD)).json()
    page = f"/inventory/{made['version']}"
    built = filled.get(f"inventories/{made['version']}")
    inventory = built["inventory"]
    with filled.browser() as client:
        client.get(f"{page}?lang=en")
        rows, matrix, checks = (
            client.get(f"{page}?format=csv&table={name}").content for name in ("rows", "matrix", "checks")
        )
        book = client.get(f"{page}?format=xlsx")
        refused = client.get(f"{page}?format=pdf")

    def figures(lines: list[dict[str, str]]) -> list[tuple[str, str, int, int]]:
        return [(r["Source id"], r["Gas"], int(r["Mass [mg]"]), int(r["CO₂e [mg]"])) for r in lines]

    def stated(lines: list[dict[str, object]]) -> list[tuple[object, ...]]:
        return [(r["source"], r["gas"], r["mass_mg"], r["co2e_mg"]) for r in lines]

    assert stated(inventory["rows"]) == figures(table_of(rows))
    assert stated(inventory["cross_checks"]) == figures(table_of(checks))
    assert inventory["total"]["co2e_mg"] == int(table_of(matrix)[-1]["Total CO₂e [mg]"])
    assert built["digest"] in rows.decode("utf-8-sig")
    assert (200, b"PK", 422) == (book.status_code, book.content[:2], refused.status_code)


def test_the_way_down_leads_from_the_matrix_to_an_hour(filled: Collector) -> None:
    """Cell, source, month, hour: each link of the way is on the page before it, and each page answers."""
    wanted = (
        r'href="(/inventory\?category=1&gas=CO2#cell)"', r'href="(/inventory\?category=1&gas=CO2&agent=[^"]*#months)"',
        r'href="(/emissions\?[^"]*by=day[^"]*source=boiler[^"]*)"', r'href="(/emissions\?[^"]*by=hour[^"]*)"',
        r'href="(/emissions/hour\?[^"]*source=boiler[^"]*)"', r'href="(/api/v1/items/\d+/bytes)"',
    )  # fmt: skip
    with filled.browser() as client:
        address = "/inventory?lang=en"
        for pattern in wanted:
            answer = client.get(address)
            found = re.search(pattern, unescape(answer.text))

            assert (200, True) == (answer.status_code, found is not None), (address, pattern)
            address = found[1].partition("#")[0] if found else ""
        assert 200 == client.get(address).status_code


def test_a_month_is_opened_for_the_same_site(filled: Collector) -> None:
    """The site chosen on the inventory is chosen in the explorer too; where none was, none is."""
    agent = filled.get("agents")["agents"][0]["agent"]
    opened = {"category": "1", "gas": "CO2", "agent": agent, "source": "boiler"}
    with filled.browser() as client:
        pages = [client.get("/inventory", params=opened | site).text for site in ({"site": "org/site"}, {})]
    links = [re.findall(r'href="(/emissions\?[^"]*by=day[^"]*source=boiler[^"]*)"', unescape(page)) for page in pages]

    assert [1, 1] == [len(found) for found in links]
    assert [True, False] == ["site=org%2Fsite" in found[0] for found in links]


def test_an_hour_that_is_not_there_says_what_is(filled: Collector) -> None:
    """A wrong time, source or agent is refused with what to write instead; an empty hour is unknown and no zero."""
    agent = filled.get("agents")["agents"][0]["agent"]
    good = {"agent": agent, "source": "grid", "gas": "CO2", "at": str(HOUR), "lang": "en"}
    with filled.browser() as client:
        pages = {
            name: client.get("/emissions/hour", params=good | changed)
            for name, changed in (
                ("good", {}), ("time", {"at": "yesterday"}), ("far", {"at": "9" * 15}), ("source", {"source": "grit"}),
                ("agent", {"agent": "<b>"}), ("empty", {"at": "2020-01-01T08:00"}),
            )
        }  # fmt: skip

    assert {"good": 200, "time": 422, "far": 422, "source": 404, "agent": 404, "empty": 200} == {
        name: page.status_code for name, page in pages.items()
    }
    assert "2026-01-31T08:00" in pages["time"].text
    assert "grid CO2" in pages["source"].text
    assert "<b>" not in pages["agent"].text
    assert "is unknown, not zero" in pages["empty"].text
    assert f"at={HOUR}" in pages["empty"].text
