"""The agent's log: one line per event to stderr, secrets taken out whoever wrote the line."""

from __future__ import annotations

import logging
import sys

from protocols.logline import Redactor, line

__all__ = ["keep_secret", "line", "start_logging"]

_redactor = Redactor()


class _Formatter(logging.Formatter):
    """One line per record; the traceback under it (text) or in it (JSON)."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage() if record.args else record.msg
        traceback = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        return _redactor.record(
            record.created, record.levelname, record.name, message, traceback, as_json=self._as_json
        )  # fmt: skip


def start_logging(form: str = "text", *, verbose: bool = False) -> None:
    """Send this program's lines to stderr; the libraries' own only from warnings up, pymodbus not at all.

    ``form`` is text or json.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(as_json=form == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("agent").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # what the bus does becomes a fate, slot by slot


def keep_secret(text: str) -> None:
    """Never print this text, in whatever form."""
    _redactor.keep(text)
