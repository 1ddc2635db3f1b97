"""A real Chromium and one filled collector for every test here; what a visit must never do is judged at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Request, StorageState, ViewportSize, sync_playwright
from playwright.sync_api import Page as Tab

from tests.browser.pages import ACCOUNTS, LANGUAGES, PAGES, Page
from tests.browser.site import fill
from tests.collector.running import PASSWORD, Collector
from tests.services import find_program, spawning

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""What Chromium needs to run as root in a container, and to look nothing up by itself."""

PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=900)
LOOK = Path(__file__).parent / "look"


@dataclass(frozen=True, slots=True)
class Site:
    """The collector under test and what its pages' addresses need."""

    collector: Collector
    facts: Mapping[str, object]


@dataclass
class Visits:
    """Opens pages in contexts of their own; ``faults`` is what no page may do."""

    browser: Browser
    site: Site
    states: Mapping[str, StorageState]
    faults: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def open(
        self, page: Page, language: str = "en", size: ViewportSize = DESKTOP, scheme: str = "light",
        said: Sequence[int] = (200,),
    ) -> Tab:  # fmt: skip
        """The page, loaded; a stranger's page without a session, every other signed in."""
        tab = self.tab(size, scheme, account=None if page.stranger else page.account)
        answer = tab.goto(self.site.collector.address + page.at(self.site.facts, language))
        assert answer is not None
        assert answer.status in said, f"{page.name}: {answer.status}, {tab.locator('main').inner_text()[:500]}"
        return tab

    def tab(self, size: ViewportSize = DESKTOP, scheme: str = "light", *, account: str | None = "admin") -> Tab:
        """An empty tab."""
        options: dict[str, Any] = {"viewport": size, "color_scheme": scheme, "locale": "en-GB"}
        if account is not None:
            options["storage_state"] = self.states[account]
        context = self.browser.new_context(**options)
        self._contexts.append(context)
        context.on("request", self._asked)
        context.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        return context.new_page()

    def close(self) -> None:
        """Close every context."""
        for context in self._contexts:
            context.close()

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).scheme != "data" and not request.url.startswith(self.site.collector.address):
            self.faults.append(f"request to {request.url}")


def look(tab: Tab, name: str, *arguments: object) -> Any:
    """What the script of that name in ``look`` finds on the page."""
    return tab.evaluate((LOOK / f"{name}.js").read_text(encoding="utf-8"), *arguments)


# The scope is the package: the synchronous driver keeps an event loop running in this thread as long as it lives,
# and asynchronous tests of other folders want one of their own.
@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A collector that serves two days of a plant."""
    folder = tmp_path_factory.mktemp("site")
    with spawning(folder) as spawn:
        yield Site(*fill(folder, spawn))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    program = find_program("chromium")
    if program is None:
        pytest.fail("chromium is not installed (apt-get install chromium); CI leaves nothing out")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def states(site: Site, browser: Browser) -> Mapping[str, StorageState]:
    """The cookies of an administrator and of a verifier who signed in on the page."""
    return {name: _signed_in(site, browser, name) for name in ACCOUNTS}


def _signed_in(site: Site, browser: Browser, name: str) -> StorageState:
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(f"{site.collector.address}/login?lang=en")
    tab.fill("[name=username]", name)
    tab.fill("[name=password]", PASSWORD)
    tab.press("[name=password]", "Enter")
    tab.wait_for_url(re.compile(r"/(engagement)?$"))
    found = context.storage_state()
    context.close()
    return found


@pytest.fixture
def visits(browser: Browser, site: Site, states: Mapping[str, StorageState]) -> Iterator[Visits]:
    """Visits of one test: none leaves the host, breaks the content security policy or fails in a script."""
    made = Visits(browser, site, states)
    yield made
    made.close()

    assert [] == made.faults


@dataclass(frozen=True, slots=True)
class Shown:
    """A page in a language, loaded once for all tests that only look at it."""

    page: Page
    language: str
    tab: Tab
    visits: Visits


@pytest.fixture(
    scope="package",
    params=[(page, language) for page in PAGES for language in LANGUAGES],
    ids=lambda one: f"{one[0].name}-{one[1]}",
)
def loaded(
    request: pytest.FixtureRequest, browser: Browser, site: Site, states: Mapping[str, StorageState]
) -> Iterator[Shown]:
    """Every page in every language, one after the other."""
    made = Visits(browser, site, states)
    page, language = request.param
    try:
        yield Shown(page, language, made.open(page, language), made)
    finally:
        made.close()


@pytest.fixture
def shown(loaded: Shown) -> Iterator[Shown]:
    """A page as a desktop shows it by day, whatever the test before looked at."""
    loaded.tab.set_viewport_size(DESKTOP)
    loaded.tab.emulate_media(media="screen", color_scheme="light")
    yield loaded

    assert [] == loaded.visits.faults
