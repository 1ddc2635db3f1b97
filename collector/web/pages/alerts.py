"""Alerts: what somebody must look after, what is over, who is told, and what is looked at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.roles import Permission
from collector.alerts.model import Kind
from collector.alerts.words import TIME, sentence
from collector.alerts.worker import BROKER_MINUTES
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.store.alerts import acknowledge_alert, open_alerts, past_alerts
from collector.web.frame import Entry, Frame, View
from protocols.errors import EmitraceError

ENTRY = Entry("alerts", "/alerts", section="operation")
PAST = 50


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page and its form."""
    rules = books.config.settings.alerts
    limits = {
        "silent_minutes": rules.silent_minutes, "gap_minutes": rules.gap_minutes, "broker_minutes": BROKER_MINUTES,
        "due_days": rules.due_days,
        "disk_free_gib": f"{rules.disk_free_gib:g}",
    }  # fmt: skip

    def page_of(view: View, status: int = 200, said: str | None = None) -> Response:
        with books.database.reading() as connection:
            found, past = open_alerts(connection), past_alerts(connection, PAST)
        done = view.request.query_params.get("done", "")
        return view.render(
            "alerts.html", status, found=found, past=past, said=said, rules=rules, form=TIME,
            done=view.words("alerts.acknowledged", id=done) if done.isdecimal() and len(done) < 20 else None,
            sentence=lambda one: sentence(one, view.words, view.zone), hook=rules.webhook.url.split("/")[2:3],
            checked=[view.words(f"alert.kind.{kind}", **limits) for kind in Kind],
        )  # fmt: skip

    @router.get("/alerts")
    @needs(Permission.READ)
    def alerts_page(request: Request) -> Response:
        return page_of(frame.open(request))

    @router.post("/alerts/{number:int}/acknowledge")
    @needs(Permission.ALERTS)
    def acknowledge(request: Request, number: int, note: Annotated[str, Form()] = "") -> Response:
        try:
            with books.database.writing() as connection:
                acknowledge_alert(connection, min(number, 2**62), request.state.session.user, note, now_ms())
        except EmitraceError as error:
            view = frame.open(request)
            return page_of(view, 409, view.words("refused", seen=f"{error.subject}: {error.seen}"))
        return RedirectResponse(f"/alerts?done={number}", status_code=303)
