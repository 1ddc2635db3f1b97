"""The pages under test; a new page is one line here, and a test asks that none is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LANGUAGES = ("zh-CN", "en")
ACCOUNTS = ("admin", "verifier")
"""Who may be signed in at a page."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its route in the application, and an address of it with the site's facts in braces."""

    name: str
    route: str
    address: str
    stranger: bool = False
    account: str = "admin"

    def at(self, facts: Mapping[str, object], language: str) -> str:
        """The address in a language."""
        address = self.address.format(**facts)
        return f"{address}{'&' if '?' in address else '?'}lang={language}"


PAGES = (
    Page("sign-in", "/login", "/login", stranger=True),
    Page("overview", "/", "/"),
    Page("live", "/live", "/live"),
    Page("live-site", "/live/{org}/{facility}", "/live/demo-works/site-1"),
    Page("emissions", "/emissions", "/emissions"),
    Page("emissions-day", "/emissions", "/emissions?from={day}&split=both"),
    Page("account", "/account", "/account"),
    Page("accounts", "/accounts", "/accounts"),
    Page("account-of-another", "/accounts/{name}", "/accounts/li.wei"),
    Page("agents", "/agents", "/agents"),
    Page("agent", "/agents/{agent}", "/agents/{agent}"),
    Page("alerts", "/alerts", "/alerts"),
    Page("audit", "/audit", "/audit"),
    Page("audit-none", "/audit", "/audit?who=nobody&action=sign-in"),
    Page("tokens", "/tokens", "/tokens"),
    Page("engagements", "/engagements", "/engagements"),
    Page("engagement-one", "/engagements/{number:int}", "/engagements/1"),
    Page("engagement", "/engagement", "/engagement", account="verifier"),
    Page("findings", "/findings", "/findings"),
    Page("finding-new", "/findings/new", "/findings/new?reference=/explain?gas=CO2", account="verifier"),
    Page("finding-one", "/findings/{number:int}", "/findings/1", account="verifier"),
    Page("hour", "/emissions/hour", "/emissions/hour?agent={agent}&source=boiler-stack&gas=CO2&at={from_ms}"),
    Page("hour-counter", "/emissions/hour", "/emissions/hour?agent={agent}&source=boiler&gas=CH4&at={from_ms}"),
    Page("hour-missing", "/emissions/hour", "/emissions/hour?agent={agent}&source=grid&gas=CO2&at=2020-01-01T08:30"),
    Page("explain", "/explain", "/explain?agent={agent}&source=boiler-stack&gas=CO2&from={year}"),
    Page("explain-day", "/explain", "/explain?agent={agent}&source=boiler&gas=CH4&from={day}"),
    Page("explain-nothing", "/explain", "/explain?agent={agent}&source=grid&gas=CO2&from=2020-01-01"),
    Page("explain-version", "/inventory/{version:int}/explain", "/inventory/{sealed}/explain?category=1&gas=CO2"),
    Page("explain-rate", "/explain/window", "/explain/window?agent={agent}&source=boiler-stack&gas=CO2&from={from_ms}"),
    Page("explain-counter", "/explain/window", "/explain/window?agent={agent}&source=grid&gas=CO2&from={second_ms}"),
    Page("calibration", "/calibration", "/calibration?all=1"),
    Page("instrument", "/calibration/instruments/{instrument}", "/calibration/instruments/em-1"),
    Page("label", "/calibration/instruments/{instrument}/label", "/calibration/instruments/em-1/label"),
    Page("enter-event", "/calibration/enter/event", "/calibration/enter/event?instrument=em-1"),
    Page("enter-instrument", "/calibration/enter/instrument", "/calibration/enter/instrument"),
    Page("completeness", "/completeness", "/completeness?from={year}-01-01&to={year}-01-02"),
    Page("completeness-day", "/completeness", "/completeness?from={day}&day={day}"),
    Page("quarantine", "/quarantine", "/quarantine"),
    Page("quarantine-one", "/quarantine/{entry:int}", "/quarantine/1"),
    Page("log", "/log", "/log"),
    Page("log-leaf", "/log/leaf/{position:int}", "/log/leaf/5"),
    Page("log-leaf-new", "/log/leaf/{position:int}", "/log/leaf/{newest}"),
    Page("inventory", "/inventory", "/inventory"),
    Page("inventory-year", "/inventory", "/inventory?live=year&category=2&gas=CO2&agent={agent}&source=grid"),
    Page("inventory-version", "/inventory/{version:int}", "/inventory/{sealed}"),
    Page("inventory-version-open", "/inventory/{version:int}", "/inventory/{open}?seal=1&category=1&gas=CO2"),
)

NO_PAGES = {
    "/calibration/due.ics": "a calendar",
    "/calibration/files/{sha256}": "evidence as it was handed in",
    "/metrics": "figures for Prometheus",
    "/live/{org}/{facility}/events": "the stream that the live page of a site listens to",
    "/static/{digest}/{name}": "styles and scripts of every page",
    "/{path:path}": "whatever leads nowhere",
}
"""Other paths outside the API that answer GET, and what they are."""
