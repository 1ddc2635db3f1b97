"""The web application: gate, API and pages over opened books. Nothing here starts a thread."""

from __future__ import annotations

import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from collector.accounts.authority import Authority
from collector.accounts.reach import OutsideError
from collector.accounts.sessions import Lifetime
from collector.api.alerts import alerts_router
from collector.api.bundles import bundle_router
from collector.api.calibration_shares import shares_router
from collector.api.enrolment import enrolment_router
from collector.api.explain import explain_router
from collector.api.findings import findings_router
from collector.api.gate import Gate, is_program, problem
from collector.api.observe import Observer
from collector.api.operation import metrics_router
from collector.api.routes import api_router
from collector.api.transparency import log_router
from collector.books import Books
from collector.live.hub import Hub
from collector.metrics import Metrics
from collector.store.healings import HealingError
from collector.web.frame import Frame
from collector.web.pages import ENTRIES, page_router
from protocols.errors import EmitraceError

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def create_app(books: Books, metrics: Metrics | None = None, hub: Hub | None = None) -> Observer:
    """The application over these books, behind its gate; what it answers is counted in ``metrics``.

    ``hub`` brings live values; without one the live pages show what is committed.
    """
    metrics = metrics or Metrics(books)
    return Observer(gated(books, metrics, hub), metrics.answered)


def gated(books: Books, metrics: Metrics | None = None, hub: Hub | None = None) -> Gate:
    """The application and its gate, which knows every route."""
    metrics = metrics or Metrics(books)
    hub = hub or Hub(books, lambda _topic, _payload: None)
    web = books.config.settings.web
    lifetime = Lifetime(web.session_hours * HOUR_MS, web.idle_minutes * MINUTE_MS)
    authority = Authority(books.database, lifetime, time.monotonic)
    app = FastAPI(
        title="Emitrace collector", version="1", docs_url=None, redoc_url=None, openapi_url=None,
        description="Integers above 1e15 are strings. Masses in mg, times in UTC ms.",
    )  # fmt: skip
    frame = Frame(books, ENTRIES)
    pages = page_router(books, authority, frame, hub)
    routers = (
        api_router(books), log_router(books), alerts_router(books), bundle_router(books), explain_router(books),
        enrolment_router(books), findings_router(books), shares_router(books), metrics_router(metrics), pages,
    )  # fmt: skip
    for router in routers:
        app.include_router(router)
    _add_errors(app, frame)
    routes = [route for router in routers for route in router.routes]
    return Gate(app, authority, routes, frame.refuse, https=web.https)


def _add_errors(app: FastAPI, frame: Frame) -> None:
    """What goes wrong is said in JSON to programs and on a page to people."""

    def answer(request: Request, status: int, error: str, hint: str) -> Response:
        if is_program(request) or request.url.path.startswith("/static/"):
            return problem(status, error, hint)
        view = frame.open(request)
        return view.error(status, view.words("refused", seen=f"{error}. {hint}"))

    def refused(request: Request, error: Any) -> Response:
        return answer(request, 422, f"{error.subject}: {error.seen}", error.hint)

    def outside(request: Request, error: Any) -> Response:
        if is_program(request):
            return problem(403, f"{error.subject}: {error.seen}", error.hint)
        return frame.refuse(request, 403, "outside")

    def healing(request: Request, error: Any) -> Response:
        if is_program(request):
            return problem(409, f"{error.subject}: {error.seen}", error.hint)
        view = frame.open(request)
        return view.error(409, view.words("healing.refused"))

    def invalid(request: Request, error: Any) -> Response:
        found = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        return answer(request, 422, "; ".join(found), "See /api/v1/openapi.json for what is expected.")

    def http(request: Request, error: Any) -> Response:
        return answer(request, error.status_code, f"{request.url.path}: {error.detail}", "See /api/v1/openapi.json.")

    def failed(request: Request, _error: Any) -> Response:
        if is_program(request):
            return problem(500, "the collector failed at this", "Nothing was changed. Its log says what went wrong.")
        view = frame.open(request)
        return view.error(500, view.words("error.failed"))

    app.add_exception_handler(OutsideError, outside)
    app.add_exception_handler(EmitraceError, refused)
    app.add_exception_handler(HealingError, healing)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, failed)
