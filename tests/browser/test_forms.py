"""What people do on the pages, with the keyboard alone."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Visits
from tests.collector.running import PASSWORD

pytestmark = pytest.mark.chromium


def test_signing_in_and_out_needs_no_mouse(visits: Visits) -> None:
    """Name, Tab, password, Enter leads in; Enter on the menu and on its last control leads out again."""
    tab = visits.tab(account=None)
    tab.goto(f"{visits.site.collector.address}/?lang=en")
    tab.wait_for_function("document.activeElement.name === 'username'")
    tab.keyboard.type("admin")
    tab.keyboard.press("Tab")
    tab.keyboard.type(PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{visits.site.collector.address}/")
    heading = tab.locator("h1").inner_text()
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Sign out").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/login")

    assert heading
    assert "Sign in" == tab.locator("h1").inner_text()


def test_the_language_stays_on_the_way_through_the_pages(visits: Visits) -> None:
    """The switch keeps the page and is remembered by the next one."""
    tab = visits.tab()
    tab.goto(f"{visits.site.collector.address}/inventory/1?lang=en")
    tab.get_by_role("link", name="中文").click()
    switched, address = tab.locator("html").get_attribute("lang"), tab.url
    tab.goto(visits.site.collector.address)

    assert ("zh-CN", "zh-CN") == (switched, tab.locator("html").get_attribute("lang"))
    assert "/inventory/1" in address
