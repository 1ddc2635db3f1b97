"""Which language a page speaks, and its words."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

LANGUAGES = ("zh-CN", "en")
LANGUAGE_COOKIE = "emitrace_lang"


@cache
def messages() -> Mapping[str, Mapping[str, str]]:
    """Language -> key -> text, from every file of ``messages``; ValueError where two files have the same key."""
    texts: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for file in sorted((resources.files("collector.web") / "messages").iterdir(), key=lambda file: file.name):
        for language, words in tomllib.loads(file.read_text(encoding="utf-8")).items():
            twice = texts[language].keys() & words.keys()
            if twice:
                raise ValueError(f"{file.name} has {', '.join(sorted(twice))} again")
            texts[language] |= words
    return texts


def choose(query: str | None, cookie: str | None, accept: str | None) -> str:
    """The language asked for in the address, else remembered, else the browser's, else Chinese."""
    for wanted in (query, cookie):
        if wanted in LANGUAGES:
            return wanted
    for part in (accept or "").split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return LANGUAGES[0]


class Words:
    """One language's words; ``words("key", n=3)`` fills the text in."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = messages()[language]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key."""
        return self._texts[key].format(**values)

    def all_of(self, *prefixes: str) -> dict[str, str]:
        """Every text whose key starts with one of the prefixes, for a script to say."""
        return {key: text for key, text in self._texts.items() if key.startswith(prefixes)}

    def of(self, prefix: str, word: str) -> str:
        """The text of ``prefix.word``, or the word itself where the list has none."""
        return self._texts.get(f"{prefix}.{word}", word)
