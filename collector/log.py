"""The collector's log: one line per event to stderr, as text or JSON, secrets taken out whoever wrote the line."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

from protocols.logline import Redactor, line

__all__ = ["clean", "keep_secret", "line", "start_logging"]

_redactor = Redactor()
_own = logging.getLogger("collector")


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


def start_logging(level: str, form: str = "text") -> None:
    """Send this program's lines to stderr; the libraries' own only from warnings up; ``form`` is text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(as_json=form == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _own.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def keep_secret(text: str | None) -> None:
    """Never print this text, in whatever form."""
    _redactor.keep(text)


def clean(text: str) -> str:
    """A text for people outside the log, secrets taken out."""
    return _redactor.clean(text)


def _uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    """What nobody caught goes through the log too, so that its text and traceback are redacted."""
    if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
        _own.critical(line("uncaught", seen=f"{kind.__name__}: {error}"), exc_info=(kind, error, traceback))
