"""Texts of the page, in Chinese and English."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

LANGUAGES = {"zh": "zh-CN", "en": "en"}


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language; an unknown key is an error, so that a test finds it."""

    language: str
    texts: dict[str, str]

    def __call__(self, key: str) -> str:
        """The text of a key."""
        return self.texts[key]

    @property
    def code(self) -> str:
        """For the page's lang attribute."""
        return LANGUAGES[self.language]

    @property
    def other(self) -> str:
        """The other language."""
        return "en" if self.language == "zh" else "zh"


def load_words() -> dict[str, Words]:
    """Both languages."""
    text = resources.files("agent.field").joinpath("messages.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)
    return {language: Words(language, {key: both[language] for key, both in found.items()}) for language in LANGUAGES}


def chosen(asked: str, kept: str, accepted: str) -> str:
    """The language of a visit: as asked, else as kept, else what the browser prefers."""
    for one in (asked, kept):
        if one in LANGUAGES:
            return one
    return "zh" if accepted.strip().lower().startswith("zh") else "en"
