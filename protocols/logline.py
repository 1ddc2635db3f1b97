"""A log line: an event word and its fields, as key=value text or one JSON object, every secret taken out. Pure.

Agent and collector log by this one rule. A secret is hidden three ways: by its value, once a program has named it;
by the key beside it (``password=``, ``"token": ...``, ``Authorization:``); by its form (``://user:password@``,
``Basic ...``). Hiding too much is an annoyance, hiding too little a breach.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

HIDDEN = "***"
_TELLING = (
    r"passw(?:or)?d|passphrase|secret|token|authorization|cookie|csrf|session(?![a-z_])|credential|api[-_]?key|private[-_]?key"
)
_SECRET_NAME = rf"(?<![\w-])[\w-]*(?:{_TELLING})(?!\w*_(?:file|hours|ms|s)\b)[\w-]*"
_NAMED = re.compile(_SECRET_NAME, re.IGNORECASE)
_VALUE = r"""(?:'[^']*'?|"[^"]*"?|[^\s&;,'"]+)"""
_PATTERNS = (
    # Authorization: Basic ..., Set-Cookie: a=b; c=d
    (re.compile(r"((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)[^\r\n]+", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    # postgresql://user:password@host/name
    (re.compile(r"(://[^\s:/@'\"]*):[^\s'\"]+@"), rf"\1:{HIDDEN}@"),
    # Basic YWRtaW46..., Bearer eyJ...
    (re.compile(r"\b((?i:basic|bearer))\s+(?=\S*[A-Z0-9=])[A-Za-z0-9+/=_.~-]{6,}"), rf"\1 {HIDDEN}"),
    # a mapping as JSON or Python prints it
    (re.compile(rf"(['\"]{_SECRET_NAME}['\"]\s*:\s*){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # password=..., ?token=...&
    (re.compile(rf"({_SECRET_NAME}=){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One event with its fields; as text ``event key=value ...``, a value with spaces or quotes quoted."""

    event: str
    fields: Mapping[str, object]

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{key}={_quoted(value)}" for key, value in self.fields.items())])


def line(event: str, **fields: object) -> Line:
    """An event word and its fields."""
    return Line(event, fields)


@dataclass(slots=True)
class Redactor:
    """Takes secrets out of text; ``known`` are those a program has named, in every form they may be printed in."""

    known: set[str] = field(default_factory=set)

    def keep(self, secret: str | None) -> None:
        """Never let this text through, nor its percent-encoded, base64 or escaped form."""
        if secret:
            coded = base64.b64encode(secret.encode()).decode()
            escaped = (repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
            self.known.update((secret, quote(secret, safe=""), quote(secret), coded, *escaped))

    def clean(self, text: str) -> str:
        """The text with ``***`` where a secret stood."""
        for secret in sorted(self.known, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def record(
        self, at_s: float, level: str, logger: str, message: object, traceback: str = "", *, as_json: bool = False
    ) -> str:
        """What a program prints of one record: when in UTC [Unix s], how grave, who says it, and what."""
        at = f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        if as_json:
            return self.json_line({"time": at, "level": level.lower(), "logger": logger}, message, traceback)
        return self.text_line(f"{at} {level} {logger}", message, traceback)

    def text_line(self, head: str, message: object, traceback: str = "") -> str:
        """``head message`` on one line, a traceback under it."""
        if isinstance(message, Line):
            message = Line(message.event, {key: self._shown(key, value) for key, value in message.fields.items()})
        one = self.clean(_one_line(str(message)))
        return f"{head} {one}" + (f"\n{self.clean(traceback)}" if traceback else "")

    def json_line(self, head: Mapping[str, object], message: object, traceback: str = "") -> str:
        """``head``, the event and its fields as one JSON object; numbers stay numbers.

        A field that bears a name of the head gets an underscore behind it. A line of a library, which has no event,
        is the event ``message`` with its text.
        """
        found = message if isinstance(message, Line) else Line("message", {"text": str(message)})
        told: dict[str, object] = {**head, "event": found.event}
        for key, value in found.fields.items():
            told[f"{key}_" if key in told else key] = self._shown(key, value)
        if traceback:
            told["traceback"] = self.clean(traceback)
        return json.dumps(told, ensure_ascii=False)

    def _shown(self, key: str, value: object) -> object:
        if _NAMED.fullmatch(key):
            return HIDDEN
        return value if value is None or isinstance(value, bool | int | float) else self.clean(str(value))


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or c in "\"'=" for c in text) else text


def _one_line(text: str) -> str:
    """Line breaks and other control characters as escapes: a text from outside cannot forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
