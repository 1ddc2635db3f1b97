"""Log lines: an event word and key=value fields, to stderr, secrets taken out whoever wrote the line."""

from __future__ import annotations

import logging
import sys

_SECRETS: set[str] = set()


class _Redacting(logging.Formatter):
    """Takes every known secret out of a line and of the traceback under it, whoever wrote them."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in _SECRETS:
            text = text.replace(secret, "***")
        return text


def start_logging(level: str) -> None:
    """Send this program's lines to stderr; the libraries' own only from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("collector").setLevel(level.upper())


def keep_secret(text: str | None) -> None:
    """Never print this text."""
    if text:
        _SECRETS.add(text)


def line(event: str, **fields: object) -> str:
    """``event key=value ...``; a value with spaces or quotes is quoted."""
    return " ".join([event, *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or c in "\"'=" for c in text) else text
