"""A swap on a phone with no network but the site's own: a real agent, its page, and Chromium without scripts."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from agent.config import Config
from agent.field.pin import keep_pin
from agent.service import OUTBOX
from protocols.records import EventKind
from protocols.wire.keys import load_key, public_bytes
from tests.agent.rig import ENERGY, POWER, Endpoint, write_agent
from tests.agent.stream import batches, read_stream, stored
from tests.browser.conftest import PHONE
from tests.services import Process, accepts, free_port, spawning, wait_until

PIN = "204816"
PAGES = {"/": "Doctor", "/values": "Live values", "/report": "Bus report", "/swap": "Meter swap",
         "/stop": "Stop reason", "/commission": "Commission"}  # fmt: skip


@contextmanager
def meter() -> Iterator[int]:
    """A meter on loopback, in a thread of its own; yields its port."""
    loop, endpoint = asyncio.new_event_loop(), Endpoint()
    endpoint.put_float(POWER, 36_000.0)
    endpoint.put_float(ENERGY, 10_234.5)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(endpoint.start(), loop).result(10)
        yield endpoint.port
    finally:
        asyncio.run_coroutine_threadsafe(endpoint.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass(frozen=True, slots=True)
class Field:
    """An agent's folder, and the address of its page."""

    config: Config
    address: str
    agent: Process


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """An agent that polls, and its page, both as programs."""
    folder = tmp_path_factory.mktemp("f")
    with meter() as port, spawning(folder) as spawn:
        config = write_agent(folder / "a", port, free_port())
        config.state_dir.mkdir()
        keep_pin(config.state_dir, PIN)
        page = free_port()
        program = [sys.executable, "-m", "agent"]
        agent = spawn("agent", [*program, "run", "--config", str(config.file)])
        spawn("field", [*program, "field", "--config", str(config.file), "--host", "127.0.0.1", "--port", str(page)])
        wait_until(lambda: accepts(page) and (config.state_dir / OUTBOX).exists(), 30, "the page")
        yield Field(config, f"http://127.0.0.1:{page}", agent)


@pytest.fixture
def phone(browser: Browser, field: Field) -> Iterator[Tab]:
    """A phone without scripts, past the PIN."""
    context = browser.new_context(viewport=PHONE, java_script_enabled=False, locale="en-GB")
    tab = context.new_page()
    tab.goto(field.address)
    tab.fill("[name=pin]", "999998")
    tab.click("main button")
    expect(tab.get_by_role("alert")).to_have_text("Wrong PIN.")
    tab.fill("[name=pin]", PIN)
    tab.click("main button")
    expect(tab.locator("h1")).to_have_text("Doctor")
    yield tab
    context.close()


def test_every_page_fits_a_phone(phone: Tab, field: Field, tmp_path: Path) -> None:
    """Each page, in both languages, says what it is and is no wider than the phone; what one taps is big enough."""
    wait_until(lambda: "em-1.power" in phone.goto(f"{field.address}/values").text(), 30, "values")  # type: ignore[union-attr]
    for language in ("zh", "en"):
        for path, title in PAGES.items():
            phone.goto(f"{field.address}{path}?lang={language}")
            width = phone.locator("main").bounding_box()
            assert width is not None
            assert width["x"] + width["width"] <= PHONE["width"]
            for tapped in phone.locator("main button, nav a, header a, main select").all():
                box = tapped.bounding_box()
                assert box is not None
                assert box["height"] >= 44
                assert box["x"] + box["width"] <= PHONE["width"]
            if language == "en":
                assert title == phone.locator("h1").inner_text()
            phone.screenshot(path=tmp_path / f"{path.strip('/') or 'doctor'}-{language}.png", full_page=True)


def test_a_swap_on_a_phone_is_signed(phone: Tab, field: Field) -> None:
    """Filled in with the thumb, taken at once, in the signed stream with all that was said; a stopped agent is told."""
    phone.goto(f"{field.address}/swap?lang=en")
    said = {"old_serial": "E1", "closing_index": "10234.5", "new_serial": "E2", "opening_index": "0.2", "by": "Li Wei"}
    for name, text in said.items():
        phone.fill(f"[name={name}]", text)
    phone.check("[name=load][value=off]")
    phone.click("main button")
    expect(phone.get_by_role("status")).to_contain_text("Taken into the signed stream")

    phone.goto(f"{field.address}/commission?lang=en")
    phone.select_option("[name=point]", "em-1.power")
    phone.fill("[name=display]", "3600")
    phone.fill("[name=by]", "Li Wei")
    phone.click("main button")
    expect(phone.locator("main [role=status].bad")).to_contain_text("decimal point in the wrong place")

    field.agent.stop()  # it seals what there is
    read = read_stream(stored(field.config.state_dir / OUTBOX), public_bytes(load_key(field.config.key_file)))
    found = {event.kind: dict(event.details) for one in batches(read) for event in one.events}
    phone.goto(f"{field.address}/values?lang=en")

    expect(phone.locator("h1")).to_have_text("The agent gives no answer")
    assert said.items() <= found[EventKind.METER_SWAP].items()
    assert "decimal_point" == found[EventKind.COMMISSIONING]["display"]
