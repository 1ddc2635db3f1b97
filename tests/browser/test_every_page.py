"""What holds for every page in a real browser: language, size, keyboard, print, colour, structure, nothing foreign."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Literal

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import ViewportSize
from pypdf import PdfReader

from collector.app import gated
from collector.books import open_books
from collector.config import Config, Settings
from collector.web.language import messages
from protocols.quantities import DEFINITIONS
from tests.browser.conftest import DESKTOP, PHONE, Shown, Visits, look
from tests.browser.pages import LANGUAGES, NO_PAGES, PAGES, Page

pytestmark = pytest.mark.chromium

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

HAN = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
RAW_WORD = re.compile(r"[a-z]{3,}([-. _][a-z]{2,})*")
UNITS = {unit for definition in DEFINITIONS.values() for unit in definition.units}
"""Signs of units are the same in every language."""
A4_TEXT = ViewportSize(width=688, height=1000)
"""A4 without the margins of the style sheet, at 96 px per inch."""
FINGER_PX = 40
PARTS = 8
"""A field for date and time is several stops: year, month, day, hour, minute and the button that opens a calendar."""


def test_no_page_is_left_out(tmp_path: Path) -> None:
    """Every path of the application outside the API that answers GET is in the list of pages, or said to be none."""
    with open_books(Config(tmp_path / "collector.toml", Settings())) as books:
        routes = [route for route in gated(books).routes if isinstance(route, APIRoute)]
    asked = [route.path for route in routes if "GET" in (route.methods or ())]
    found = {path for path in asked if not path.startswith("/api/")}

    assert found == {page.route for page in PAGES} | set(NO_PAGES)


def test_page_speaks_one_language(shown: Shown) -> None:
    """All a reader meets is in the language asked for; the switch and quotations (``und``) are marked as such."""
    texts, language = look(shown.tab, "texts"), shown.language
    own = [text for text, marked, in_code in texts if marked == language and not in_code]
    other = next(name for name in LANGUAGES if name != language)
    foreign = set(messages()[other].values()) - set(messages()[language].values())

    assert {language, other} == {marked for _, marked, _ in texts} - {"und"}
    assert len(own) > 5
    assert [] == [text for text in own if text in foreign]
    if language == "en":
        assert [] == [text for text in own if HAN.search(text)]
    else:
        assert [] == [text for text in own if RAW_WORD.fullmatch(text) and text not in UNITS]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_page_fits_its_window(shown: Shown, size: ViewportSize) -> None:
    """Nothing sticks out sideways, and on a phone a thumb hits every control."""
    shown.tab.set_viewport_size(size)

    assert [] == look(shown.tab, "overflow")
    if size is PHONE:
        assert [] == look(shown.tab, "targets", FINGER_PX)


@each_page
def test_keyboard_reaches_everything(visits: Visits, page: Page) -> None:
    """Tab stops at every link and control, in order, and each shows a ring."""
    tab = visits.open(page)
    stops, reached, seen = look(tab, "reachable"), list[int](), set[int]()
    for _ in range(stops * PARTS):
        tab.keyboard.press("Tab")
        focus = look(tab, "focus")
        if focus is None:
            continue
        if len(reached) == stops and focus[0] != reached[-1]:
            break
        reached += [focus[0]] if focus[0] not in reached else []
        seen |= {focus[0]} if focus[1] else set()

    first = reached.index(0)
    assert list(range(stops)) == reached[first:] + reached[:first]
    assert [] == [stop for stop in reached if stop not in seen]


@each_page
def test_skip_link_leads_into_the_content(visits: Visits, page: Page) -> None:
    """The first stop of a page skips the navigation: after Enter, Tab goes on inside main."""
    tab = visits.open(page)
    look(tab, "reachable")
    tab.locator("[data-stop='0']").focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")

    assert tab.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_page_prints_whole(shown: Shown) -> None:
    """On A4 nothing is cut off at the side, and the first and the last row of every table stand in the PDF."""
    tab = shown.tab
    tab.set_viewport_size(A4_TEXT)
    tab.emulate_media(media="print")
    cut, lines = look(tab, "cut"), look(tab, "edges")
    printed = _dense("".join(part.extract_text() for part in PdfReader(io.BytesIO(tab.pdf(format="A4"))).pages))

    assert [] == cut
    assert [] == [line for line in lines if not re.search(_pattern(line), printed)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(shown: Shown, scheme: Literal["light", "dark"]) -> None:
    """Contrast is at least 4.5 (3 for large text) in both colour schemes."""
    shown.tab.emulate_media(color_scheme=scheme)

    assert [] == look(shown.tab, "contrast")


def test_a_screen_reader_finds_its_way(shown: Shown) -> None:
    """One main heading, landmarks, levels without a jump, labelled controls, tables with headers."""
    assert [] == look(shown.tab, "structure")


def _dense(text: str) -> str:
    """Without white space, which a PDF does not keep."""
    return re.sub(r"\s", "", text)


def _pattern(text: str) -> str:
    """A text as a PDF may give it back: fonts share the glyph of a Chinese sign with the radical of that form."""
    return "".join(f"[{sign}\u2e80-\u2fdf]" if HAN.match(sign) else re.escape(sign) for sign in _dense(text))
