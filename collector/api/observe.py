"""Every request seen from outside the gate: one log line, and one observation for the metrics.

A line names the route by its template, so neither query strings nor what stands in a path reach the log, and an
unknown path cannot make a new series.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.log import line

UNROUTED = "unrouted"
SIGN_IN = "/login"
REFUSED = frozenset({401, 429})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that has been answered; ``status`` 500 where the program broke, ``seconds`` to the answer's end.

    ``refused_way`` is ``page`` or ``script`` where a password did not fit or was not looked at.
    """

    method: str
    route: str
    status: int
    seconds: float
    user: str
    refused_way: str = ""


class Observer:
    """ASGI middleware, the outermost one of ours; ``tell`` is called once for each request."""

    def __init__(self, app: ASGIApp, tell: Callable[[Seen], None]) -> None:
        self._app = app
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and say what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began_s = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            took_s = time.perf_counter() - began_s
            seen = Seen(method, _route(scope), status, took_s, _user(scope), _refused_way(scope, status))
            self._tell(seen)
            log.info(
                line("request", method=method, route=seen.route, status=status, ms=round(1000 * seen.seconds, 1),
                     user=seen.user or "-")
            )  # fmt: skip


def _route(scope: Scope) -> str:
    """The template of the route that was found; none is for an unknown path or a request refused before routing."""
    return getattr(scope.get("route"), "path", UNROUTED)


def _user(scope: Scope) -> str:
    session = scope.get("state", {}).get("session")
    return str(session.user) if session is not None else ""


def _refused_way(scope: Scope, status: int) -> str:
    if status not in REFUSED:
        return ""
    if scope["method"] == "POST" and scope["path"] == SIGN_IN:
        return "page"
    return "script" if any(name == b"authorization" for name, _ in scope["headers"]) else ""
