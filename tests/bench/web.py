"""The pages over the books of a year: what a phone waits for, and what the server takes for each page."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

from collector.books import open_books
from collector.hours.cells import HOUR_MS
from collector.store.inventories import build_inventory
from protocols.wire.keys import fingerprint, public_bytes
from tests.bench.figures import Figure, median_of, seconds
from tests.bench.year import KEY, make_year
from tests.browser.conftest import FLAGS
from tests.browser.pages import PAGES
from tests.collector.running import Collector
from tests.services import Process, find_program, free_port

TIMES = 5
NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
"""A phone's connection: 1.6 Mbit/s down, 150 ms from asking to answering."""
SLOWER = 4
"""How many times slower a phone's processor is."""
DAYS = 365
FIRST_CHART = """new Promise(resolve => {
  const drawn = () => requestAnimationFrame(() => resolve(performance.now()));
  const seen = () => document.querySelector("main svg[role=img]") ? drawn() : requestAnimationFrame(seen);
  seen();
})"""


def run() -> Iterator[Figure]:
    """All figures of the room; none where there is no Chromium."""
    program = find_program("chromium")
    if program is None:
        print("web: left out, there is no chromium (apt-get install chromium)")
        return
    with tempfile.TemporaryDirectory() as name:
        folder, started = Path(name), list[Process]()

        def spawn(called: str, command: Any) -> Process:
            started.append(Process(called, command, folder / f"{called}.log").start())
            return started[-1]

        collector, facts = _fill(folder, spawn)
        try:
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
                waits = [_first_chart(browser, collector) for _ in range(TIMES + 1)][1:]
                browser.close()
            note = "overview, signed in, nothing kept from before; 1.6 Mbit/s, 150 ms, processor / 4, 390 x 844"
            yield Figure("web.first_chart_ms", median(waits), "ms", note)
            yield from _pages(collector, facts)
        finally:
            for process in started:
                process.kill()


def _fill(folder: Path, spawn: Any) -> tuple[Collector, Mapping[str, object]]:
    """A collector that serves a year's books with one version of all of it, and what addresses need."""
    now_ms = int(time.time() * 1000)
    end_ms = now_ms - now_ms % HOUR_MS
    from_ms = end_ms - DAYS * 24 * HOUR_MS
    collector = Collector(folder, spawn, free_port())
    make_year(folder, now_ms, DAYS)
    with open_books(collector.configure()) as books:
        build_inventory(books.database, books.plans, from_ms, end_ms, "AR6", now_ms)
    collector.start()
    day = time.strftime("%Y-%m-%d", time.gmtime((end_ms - 48 * HOUR_MS) / 1000))
    agent = fingerprint(public_bytes(KEY))
    return collector, {"agent": agent, "sealed": 1, "open": 1, "from_ms": end_ms - 2 * HOUR_MS, "day": day, "site": ""}


def _first_chart(browser: Browser, collector: Collector) -> float:
    """From asking for the overview to its chart being drawn, on a phone. [ms]"""
    with collector.browser() as client:
        cookies = [{"name": c.name, "value": c.value or "", "url": collector.address} for c in client.cookies.jar]
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, device_scale_factor=3, is_mobile=True, has_touch=True
    )
    context.add_cookies(cookies)  # type: ignore[arg-type]
    tab = context.new_page()
    session = context.new_cdp_session(tab)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    tab.goto(f"{collector.address}/?lang=en", wait_until="commit")
    waited = float(tab.evaluate(FIRST_CHART))
    context.close()
    return waited


def _pages(collector: Collector, facts: Mapping[str, object]) -> Iterator[Figure]:
    """Server time of each page, on loopback, from asking to the last byte."""
    with collector.browser() as client:
        for page in (one for one in PAGES if not one.stranger):
            try:
                address = page.at(facts, "en")
            except KeyError:
                continue
            first = client.get(address, timeout=60)
            if first.status_code != httpx.codes.OK:
                continue
            value = 1000 * median_of(lambda address=address: seconds(lambda: client.get(address)), TIMES)  # type: ignore[misc]
            yield Figure(f"web.page_ms.{page.name}", value, "ms", f"{len(first.content)} bytes of HTML")
        year = f"/emissions?from={str(facts['day'])[:4]}&lang=en"
        size = len(client.get(year).content)
        value = 1000 * median_of(lambda: seconds(lambda: client.get(year)), TIMES)
        yield Figure("web.page_ms.emissions-year", value, "ms", f"{size} bytes of HTML")
