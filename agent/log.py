"""Log lines for people and machines: an event word and key=value fields, to stderr, secrets taken out."""

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


def start_logging(*, verbose: bool = False) -> None:
    """Send this program's lines to stderr; the libraries' own only from warnings up, pymodbus not at all."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("agent").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # what the bus does becomes a fate, slot by slot


def keep_secret(text: str) -> None:
    """Never print this text."""
    if text:
        _SECRETS.add(text)


def line(event: str, **fields: object) -> str:
    """``event key=value ...``; a value with spaces or quotes is quoted."""
    return " ".join([event, *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or c in "\"'=" for c in text) else text
