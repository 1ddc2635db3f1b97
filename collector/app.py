"""The web application: gate, API and pages over opened books. Nothing here starts a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware

from collector.api.auth import Authority
from collector.api.gate import Gate, problem
from collector.api.observe import Observer, Seen
from collector.api.routes import api_router
from collector.books import Books, session_secret
from collector.web.frame import Frame
from collector.web.pages import ENTRIES, page_router
from protocols.errors import EmitraceError

HOUR_S = 3600


def create_app(books: Books, tell: Callable[[Seen], None] = lambda _seen: None) -> FastAPI:
    """The application over these books; ``tell`` hears of every request answered."""
    web = books.config.settings.web
    authority = Authority(books.database, session_secret(books.config), web.session_hours * HOUR_S, time.monotonic)
    app = FastAPI(
        title="Emitrace collector", version="1", docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json",
        description="Integers above 1e15 are strings. Masses in mg, times in UTC ms.",
    )  # fmt: skip
    frame = Frame(books, ENTRIES)
    app.include_router(api_router(books))
    app.include_router(page_router(books, authority, frame))
    app.add_middleware(BaseHTTPMiddleware, dispatch=Gate(authority))
    app.add_middleware(Observer, tell=tell)
    _add_errors(app, frame)
    return app


def _add_errors(app: FastAPI, frame: Frame) -> None:
    """What goes wrong is said in JSON to programs and on a page to people."""

    def answer(request: Request, status: int, error: str, hint: str) -> Response:
        if request.url.path.startswith(("/api/", "/static/")):
            return problem(status, error, hint)
        view = frame.open(request)
        return view.error(status, view.words("refused", seen=f"{error}. {hint}"))

    def refused(request: Request, error: Any) -> Response:
        return answer(request, 422, f"{error.subject}: {error.seen}", error.hint)

    def invalid(request: Request, error: Any) -> Response:
        found = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        return answer(request, 422, "; ".join(found), "See /api/v1/openapi.json for what is expected.")

    def http(request: Request, error: Any) -> Response:
        return answer(request, error.status_code, f"{request.url.path}: {error.detail}", "See /api/v1/openapi.json.")

    def failed(request: Request, _error: Any) -> Response:
        if request.url.path.startswith("/api/"):
            return problem(500, "the collector failed at this", "Nothing was changed. Its log says what went wrong.")
        view = frame.open(request)
        return view.error(500, view.words("error.failed"))

    app.add_exception_handler(EmitraceError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, failed)
