"""What holds for every page, in a real browser: languages, sizes, keyboard, print, colours, structure, nothing foreign."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from collector.app import create_app
from collector.books import open_books
from collector.config import Config, Settings
from collector.web.language import messages
from tests.browser.conftest import DESKTOP, PHONE, Visits, look
from tests.browser.pages import LANGUAGES, NO_PAGES, PAGES, Page

pytestmark = pytest.mark.chromium

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
each_language = pytest.mark.parametrize("language", LANGUAGES)

HAN = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
RAW_WORD = re.compile(r"[a-z]{3,}([-. _][a-z]{2,})*")
A4_TEXT = {"width": 688, "height": 1000}
"""A4 without the margins of the style sheet, at 96 px per inch."""
FINGER_PX = 40


def page_routes(routes: object) -> Iterator[str]:
    """Paths that answer GET, inside included routers too."""
    for route in getattr(routes, "routes", ()):
        inner = getattr(route, "original_router", route)
        if getattr(inner, "routes", None):
            yield from page_routes(inner)
        elif "GET" in (getattr(route, "methods", None) or ()):
            yield route.path


def test_no_page_is_left_out(tmp_path: Path) -> None:
    """Every path of the application outside the API that answers GET is in the list of pages, or said to be none."""
    with open_books(Config(tmp_path / "collector.toml", Settings())) as books:
        found = {path for path in page_routes(create_app(books)) if not path.startswith("/api/")}

    assert found == {page.route for page in PAGES} | set(NO_PAGES)


@each_language
@each_page
def test_page_speaks_one_language(visits: Visits, page: Page, language: str) -> None:
    """All a reader meets is in the language asked for, and what is not (the switch) is marked as such."""
    texts = look(visits.open(page, language), "texts")
    own = [text for text, marked, in_code in texts if marked == language and not in_code]
    other = next(name for name in LANGUAGES if name != language)
    foreign = set(messages()[other].values()) - set(messages()[language].values())

    assert {language, other} == {marked for _, marked, _ in texts}
    assert len(own) > 5
    assert [] == [text for text in own if text in foreign]
    if language == "en":
        assert [] == [text for text in own if HAN.search(text)]
    else:
        assert [] == [text for text in own if RAW_WORD.fullmatch(text)]


@each_page
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@each_language
def test_page_fits_its_window(visits: Visits, page: Page, size: dict[str, int], language: str) -> None:
    """Nothing sticks out sideways, and on a phone a thumb hits every control."""
    tab = visits.open(page, language, size)

    assert [] == look(tab, "overflow")
    if size is PHONE:
        assert [] == look(tab, "targets", FINGER_PX)


@each_page
def test_keyboard_reaches_everything(visits: Visits, page: Page) -> None:
    """Tab stops at every link and control in order, each with a ring one can see; the first stop skips to the content."""
    tab = visits.open(page)
    stops = look(tab, "reachable")
    tab.keyboard.press("Tab")
    assert "#main" in look(tab, "focus")[2]

    reached, unseen = {look(tab, "focus")[0]}, []
    for _ in range(stops):
        tab.keyboard.press("Tab")
        focus = look(tab, "focus")
        if focus is not None:
            reached.add(focus[0])
            unseen += [] if focus[1] else [focus[2]]

    assert {str(place) for place in range(stops)} - reached == set()
    assert [] == unseen


@each_page
def test_skip_link_leads_into_the_content(visits: Visits, page: Page) -> None:
    """After Enter on the first stop, Tab goes on inside main, if anything there can be reached at all."""
    tab = visits.open(page)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")

    assert tab.evaluate("document.querySelector('main').contains(document.activeElement)")


@each_page
@each_language
def test_page_prints_whole(visits: Visits, page: Page, language: str) -> None:
    """On A4 nothing is cut off at the side, and the first and the last row of every table stand in the PDF."""
    tab = visits.open(page, language, A4_TEXT)
    tab.emulate_media(media="print")
    wide = tab.evaluate(
        "[...document.querySelectorAll('main, main *')].filter(e => e.checkVisibility() && e.clientWidth > 0 &&"
        " e.scrollWidth > e.clientWidth + 1).map(e => `${e.tagName}.${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"
    )
    cells = tab.evaluate(
        "[...document.querySelectorAll('h1, table')].filter(e => e.checkVisibility()).flatMap(e => e.tagName === 'H1' ?"
        " [e.innerText] : [e.rows[0], e.tBodies[0].rows[0], e.rows[e.rows.length - 1]].flatMap(row =>"
        " [...row.cells].map(cell => cell.innerText)))"
    )
    printed = _dense("".join(part.extract_text() for part in PdfReader(io.BytesIO(tab.pdf(format="A4"))).pages))

    assert [] == wide
    assert [] == [cell for cell in cells if not all(word in printed for word in map(_dense, cell.splitlines()))]


@each_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(visits: Visits, page: Page, scheme: str) -> None:
    """Contrast is at least 4.5 (3 for large text) in both colour schemes."""
    assert [] == look(visits.open(page, scheme=scheme), "contrast")


@each_page
def test_a_screen_reader_finds_its_way(visits: Visits, page: Page) -> None:
    """One main heading, landmarks, levels without a jump, labelled controls, tables with headers."""
    assert [] == look(visits.open(page), "structure")


def _dense(text: str) -> str:
    """Without white space, which a PDF does not keep."""
    return re.sub(r"\s", "", text)
