"""What a reader chooses for every page: language, time zone, theme. An address may name it; a cookie remembers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote_plus, urlencode

from collector.web.language import LANGUAGE_COOKIE, LANGUAGES, choose


@dataclass(frozen=True, slots=True)
class Preference:
    """One choice: its name in an address, its cookie, and the values it may have, the default first."""

    name: str
    cookie: str
    choices: tuple[str, ...]

    def of(self, query: Mapping[str, str], cookies: Mapping[str, str]) -> str:
        """Named in the address, else remembered, else the default; anything else counts as not named."""
        for wanted in (query.get(self.name), cookies.get(self.cookie)):
            if wanted in self.choices:
                return wanted
        return self.choices[0]


LANGUAGE = Preference("lang", LANGUAGE_COOKIE, LANGUAGES)
CLOCK = Preference("tz", "emitrace_tz", ("site", "utc"))
THEME = Preference("theme", "emitrace_theme", ("auto", "light", "dark"))
PREFERENCES = (LANGUAGE, CLOCK, THEME)


def language_of(query: Mapping[str, str], cookies: Mapping[str, str], accept: str | None) -> str:
    """The language of a request; where neither address nor cookie names one, the browser's."""
    return choose(query.get(LANGUAGE.name), cookies.get(LANGUAGE.cookie), accept)


quote = lru_cache(maxsize=4096)(quote_plus)


def with_query(path: str, query: str, changes: Mapping[str, str | None], without: Iterable[str] = ()) -> str:
    """The same address with some of its parameters changed (None: taken away), the others kept in their order."""
    kept = _kept(query, frozenset({*changes, *without}))
    new = "&".join([f"{key}={quote(value)}" for key, value in changes.items() if value is not None])
    asked = f"{kept}&{new}" if kept and new else kept or new
    return f"{path}?{asked}" if asked else path


@lru_cache(maxsize=256)
def _kept(query: str, gone: frozenset[str]) -> str:
    """What stays of a query; a page asks for the same many times."""
    return urlencode([(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key not in gone])
