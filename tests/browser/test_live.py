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
