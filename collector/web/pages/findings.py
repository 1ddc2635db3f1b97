"""Findings: the list, a new one about a figure, and each with its revisions and the central team's answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.store.findings import (
    LONGEST_REFERENCE,
    LONGEST_TEXT,
    Finding,
    FindingError,
    Said,
    Severity,
    State,
    add_answer,
    add_finding,
    all_findings,
    answers_to,
    revise_finding,
    revisions_of,
)
from collector.web.frame import Entry, Frame, View

ENTRY = Entry("findings", "/findings", Permission.FINDINGS, limited=True)
MOST_NUMBER = 2**62
DONE = ("made", "revised", "answered")
Text = Annotated[str, Form()]


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The pages and their forms."""
    _add_list(router, books, frame)
    _add_one(router, books, frame)


def _add_list(router: APIRouter, books: Books, frame: Frame) -> None:
    def new_of(view: View, said: Said, status: int = 200, why: str | None = None) -> Response:
        return view.render(
            "finding-new.html", status, said=said, why=why, severities=tuple(Severity), longest=LONGEST_TEXT,
            none=view.reach.engagement is None,
        )  # fmt: skip

    @router.get("/findings")
    @needs(Permission.READ, Limit.APPLIED)
    def findings_page(request: Request) -> Response:
        view = frame.open(request)
        with books.database.reading() as connection:
            found = visible(all_findings(connection), view)
            answered = answers_to(connection, [one.number for one in found])
        return view.render(
            "findings.html", found=found, answered=answered,
            standing=sum(one.state is State.OPEN for one in found),
        )  # fmt: skip

    @router.get("/findings/new")
    @needs(Permission.FINDINGS, Limit.APPLIED)
    def new_page(request: Request, reference: str = "") -> Response:
        return new_of(frame.open(request), Said("", "", reference[:LONGEST_REFERENCE]))

    @router.post("/findings")
    @needs(Permission.FINDINGS, Limit.APPLIED)
    def make(request: Request, severity: Text = "", text: Text = "", reference: Text = "") -> Response:
        view, said = frame.open(request), Said(severity, text, reference)
        if view.reach.engagement is None:
            return new_of(view, said, 409, view.words("findings.refused.none"))
        try:
            with books.database.writing() as connection:
                made = add_finding(connection, view.reach.engagement, request.state.session.user, said, now_ms())
        except FindingError as error:
            return new_of(view, said, 422, refused(view, error))
        return RedirectResponse(f"/findings/{made.number}?done=made", status_code=303)


def _add_one(router: APIRouter, books: Books, frame: Frame) -> None:
    def page_of(view: View, number: int, status: int = 200, why: str | None = None, said: Said | None = None,
                answer: str = "") -> Response:  # fmt: skip
        with books.database.reading() as connection:
            revisions = visible(revisions_of(connection, min(number, MOST_NUMBER)), view)
            answers = answers_to(connection, [number]).get(number, []) if revisions else []
        if not revisions:
            return view.error(404, view.words("findings.unknown", number=number))
        f = revisions[-1]
        done = view.request.query_params.get("done", "")
        return view.render(
            "finding-one.html", status, f=f, revisions=revisions, answers=answers, why=why, answer=answer,
            said=said or Said(f.severity, f.text, f.reference, f.state), severities=tuple(Severity),
            states=tuple(State), longest=LONGEST_TEXT, own=view.session is not None and view.session.user == f.author,
            done=view.words(f"findings.done.{done}") if done in DONE else None,
        )  # fmt: skip

    @router.get("/findings/{number:int}")
    @needs(Permission.READ, Limit.APPLIED)
    def one_page(request: Request, number: int) -> Response:
        return page_of(frame.open(request), number)

    @router.post("/findings/{number:int}")
    @needs(Permission.FINDINGS, Limit.APPLIED)
    def change(
        request: Request, number: int, severity: Text = "", text: Text = "", reference: Text = "", state: Text = ""
    ) -> Response:
        view, said = frame.open(request), Said(severity, text, reference, state)
        user = request.state.session.user
        try:
            with books.database.writing() as connection:
                if not visible(revisions_of(connection, min(number, MOST_NUMBER)), view):
                    return page_of(view, number)
                revise_finding(connection, number, user, said, now_ms())
        except FindingError as error:
            status = 403 if error.reason == "foreign" else 422
            return page_of(view, number, status, refused(view, error), said)
        return RedirectResponse(f"/findings/{number}?done=revised", status_code=303)

    @router.post("/findings/{number:int}/answer")
    @needs(Permission.ANSWERS)
    def answer(request: Request, number: int, text: Text = "") -> Response:
        view = frame.open(request)
        try:
            with books.database.writing() as connection:
                add_answer(connection, min(number, MOST_NUMBER), request.state.session.user, text, now_ms())
        except FindingError as error:
            return page_of(view, number, 422, refused(view, error), answer=text)
        return RedirectResponse(f"/findings/{number}?done=answered", status_code=303)


def visible(found: list[Finding], view: View) -> list[Finding]:
    """Of findings those that the reader may see: a verifier those of the own engagement."""
    return [one for one in found if view.reach.is_for(one.engagement)]


def refused(view: View, error: FindingError) -> str:
    """Why a finding or an answer is not taken, in the page's language."""
    return view.words(f"findings.refused.{error.reason}", seen=error.seen, longest=LONGEST_TEXT)
