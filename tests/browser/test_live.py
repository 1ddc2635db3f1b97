"""The live page as its script keeps it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from collector.web.language import messages
from tests.browser.conftest import Visits
from tests.browser.pages import LANGUAGES, PAGES

pytestmark = pytest.mark.chromium
LIVE_SITE = next(page for page in PAGES if page.name == "live-site")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_silent_agent_is_never_called_live(visits: Visits, language: str) -> None:
    """Connected to the collector, but without a word of the agent, the page says so and marks no value as live."""
    tab = visits.open(LIVE_SITE, language)
    expect(tab.locator("#line")).to_have_text(messages()[language]["line.waiting"])

    assert tab.locator(".reading").count() > 0
    assert 0 == tab.locator(".reading.live").count()


def test_a_cut_connection_is_said_and_comes_back(visits: Visits) -> None:
    """The collector ends under an open page: it says so, keeps the values, and goes on when it is there again."""
    words = messages()["en"]
    collector = visits.site.collector
    assert collector.process is not None
    tab = visits.open(LIVE_SITE)
    line, values = tab.locator("#line"), tab.locator(".reading .value")
    expect(line).to_have_text(words["line.waiting"])
    before = values.all_inner_texts()

    collector.process.kill()
    for part in words["line.lost"].split("{time}"):
        expect(line).to_contain_text(part, timeout=10_000)
    expect(tab.locator("#live")).to_contain_class("lost")
    assert before == values.all_inner_texts()

    collector.start()
    expect(line).to_have_text(words["line.waiting"], timeout=20_000)
    expect(tab.locator("#live")).not_to_contain_class("lost")
    assert visits.faults
    assert [] == [fault for fault in visits.faults if "net::ERR_" not in fault]
    visits.faults.clear()  # a browser says that nobody answers
