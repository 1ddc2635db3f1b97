"""What holds for every page in a real browser: language, size, keyboard, print, colour, structure, nothing foreign."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pypdfium2
import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import ViewportSize

from collector.app import gated
from collector.books import open_books
from collector.config import Config, Settings
from collector.web.language import messages
from protocols.quantities import DEFINITIONS
from tests.browser.conftest import DESKTOP, PHONE, Shown, look
from tests.browser.pages import LANGUAGES, NO_PAGES, PAGES

pytestmark = pytest.mark.chromium

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


def test_keyboard_reaches_everything(shown: Shown) -> None:
    """Tab stops at every link and control, in order, and each shows a ring."""
    stops = look(shown.tab, "reachable")
    met: list[list[int]] = []
    for _ in range(PARTS):
        for _ in range(stops):
            shown.tab.keyboard.press("Tab")
        met = look(shown.tab, "met")
        if len({stop for stop, _ in met}) == stops:
            break

    reached = list(dict.fromkeys(stop for stop, _ in met))
    first = reached.index(0)
    assert list(range(stops)) == reached[first:] + reached[:first]
    assert [] == sorted(set(reached) - {stop for stop, ring in met if ring})


def test_skip_link_leads_into_the_content(shown: Shown) -> None:
    """The first stop of a page skips the navigation: after Enter, Tab goes on inside main."""
    look(shown.tab, "reachable")
    shown.tab.locator("[data-stop='0']").focus()
    shown.tab.keyboard.press("Enter")
    shown.tab.keyboard.press("Tab")

    assert shown.tab.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_page_prints_whole(shown: Shown) -> None:
    """On A4 nothing is cut off at the side, and the first and the last row of every table stand in the PDF."""
    tab = shown.tab
    tab.set_viewport_size(A4_TEXT)
    tab.emulate_media(media="print")
    cut, lines = look(tab, "cut"), look(tab, "edges")
    printed = _dense(_text(tab.pdf(format="A4")))

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


def _text(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        return "".join(page.get_textpage().get_text_range() for page in document)


def _dense(text: str) -> str:
    """Without white space, which a PDF does not keep, and hyphens, of which it has another at the end of a line."""
    return re.sub(r"[\s\x02\ufffe-]", "", text)


def _pattern(text: str) -> str:
    """A text as a PDF may give it back: fonts share the glyph of a Chinese sign with the radical of that form."""
    return "".join(f"[{sign}\u2e80-\u2fdf]" if HAN.match(sign) else re.escape(sign) for sign in _dense(text))
