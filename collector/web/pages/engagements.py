"""Verification engagements, for the central team: the list, a new one, and a page for each with its revisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.register import Register
from collector.accounts.roles import Permission, Role
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.hours.cells import day_start
from collector.store.engagements import (
    MOST_NAMES,
    Engagement,
    EngagementError,
    Terms,
    all_engagements,
    revise,
    revisions_of,
)
from collector.store.findings import all_findings
from collector.web.frame import Entry, Frame, View
from collector.web.shown import instant

ENTRY = Entry("engagements", "/engagements", Permission.ENGAGEMENTS, section="evidence")
DAY = "%Y-%m-%d"
FIRST, LAST = date(1971, 1, 1), date(9990, 1, 1)
MOST_NUMBER = 2**62
DONE = ("made", "revised")


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the form; days as text, the last ones included."""

    name: str = ""
    body: str = ""
    criteria: str = ""
    sites: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    expires: str = ""
    accounts: tuple[str, ...] = ()


def written(
    sites: Annotated[list[str], Form(default_factory=list)],
    accounts: Annotated[list[str], Form(default_factory=list)],
    name: Annotated[str, Form()] = "",
    body: Annotated[str, Form()] = "",
    criteria: Annotated[str, Form()] = "",
    first: Annotated[str, Form()] = "",
    last: Annotated[str, Form()] = "",
    expires: Annotated[str, Form()] = "",
) -> Written:
    """The form as it was sent."""
    return Written(name, body, criteria, tuple(sites), first, last, expires, tuple(accounts))


Sent = Annotated[Written, Depends(written)]


def add_routes(router: APIRouter, books: Books, register: Register, frame: Frame) -> None:
    """The pages and their forms."""
    _add_list(router, books, register, frame)
    _add_one(router, books, register, frame)


def _add_list(router: APIRouter, books: Books, register: Register, frame: Frame) -> None:
    def page_of(view: View, form: Written, status: int = 200, said: str | None = None) -> Response:
        with books.database.reading() as connection:
            found = all_engagements(connection)
            findings = all_findings(connection)
        counts = {one.number: sum(finding.engagement == one.number for finding in findings) for one in found}
        return view.render(
            "engagements.html", status, found=found, counts=counts, said=said, form=form, action="/engagements",
            **_choices(view, register, found),
        )  # fmt: skip

    @router.get("/engagements")
    @needs(Permission.ENGAGEMENTS)
    def engagements_page(request: Request) -> Response:
        return page_of(frame.open(request), Written())

    @router.post("/engagements")
    @needs(Permission.ENGAGEMENTS)
    def make(request: Request, form: Sent) -> Response:
        view = frame.open(request)
        try:
            kept = _keep(books, register, view, None, form)
        except EngagementError as error:
            return page_of(view, form, 422, _refused(view, error))
        return RedirectResponse(f"/engagements/{kept.number}?done=made", status_code=303)


def _add_one(router: APIRouter, books: Books, register: Register, frame: Frame) -> None:
    def page_of(
        view: View, number: int, form: Written | None = None, status: int = 200, said: str | None = None
    ) -> Response:
        with books.database.reading() as connection:
            revisions = revisions_of(connection, min(number, MOST_NUMBER))
            findings = all_findings(connection, min(number, MOST_NUMBER))
        if not revisions:
            return view.error(404, view.words("engagements.unknown", number=number))
        done = view.request.query_params.get("done", "")
        return view.render(
            "engagement-one.html", status, e=revisions[-1], revisions=revisions[::-1], findings=findings, said=said,
            done=view.words(f"engagements.done.{done}") if done in DONE else None, action=f"/engagements/{number}",
            form=form or _stated(revisions[-1].terms, view), **_choices(view, register, revisions[-1:]),
        )  # fmt: skip

    @router.get("/engagements/{number:int}")
    @needs(Permission.ENGAGEMENTS)
    def engagement_page(request: Request, number: int) -> Response:
        return page_of(frame.open(request), number)

    @router.post("/engagements/{number:int}")
    @needs(Permission.ENGAGEMENTS)
    def change(request: Request, number: int, form: Sent) -> Response:
        view = frame.open(request)
        with books.database.reading() as connection:
            if not revisions_of(connection, min(number, MOST_NUMBER)):
                return page_of(view, number)
        try:
            _keep(books, register, view, number, form)
        except EngagementError as error:
            return page_of(view, number, form, 422, _refused(view, error))
        return RedirectResponse(f"/engagements/{number}?done=revised", status_code=303)


def _keep(books: Books, register: Register, view: View, number: int | None, form: Written) -> Engagement:
    """Keep what stands in the form; EngagementError where it is not taken."""
    session = view.session
    assert session is not None  # noqa: S101 - the gate lets nobody else here
    others = sorted(set(form.accounts) - _verifiers(register))
    if others:
        raise EngagementError("role", ", ".join(others)[:200], "Name accounts of the role verifier.")
    terms = Terms(form.name, form.body, form.criteria, form.sites, *_spans(view, form), form.accounts)
    with books.database.writing() as connection:
        return revise(connection, number, terms, session.user, now_ms())


def _spans(view: View, form: Written) -> tuple[int, int, int]:
    """First midnight, the one behind the last day, and the one behind the day of expiry. [UTC ms]

    Days are those of the facilities, which must share one zone: a day of another would be cut. EngagementError.
    """
    zones = {site.zone.key: site.zone for site in view.sites if site.id in form.sites}
    if len(zones) > 1:
        raise EngagementError("zones", ", ".join(sorted(zones)), "Make an engagement for each zone.")
    zone = next(iter(zones.values()), view.site_zone)
    try:
        first, last, expires = (date.fromisoformat(day) for day in (form.first, form.last, form.expires))
        if not (FIRST <= first <= last < LAST and FIRST <= expires < LAST):
            raise ValueError(last)
    except ValueError as error:
        seen = f"{form.first} {form.last} {form.expires}"[:64]
        raise EngagementError("period", seen, "Write year-month-day, the last day not before the first.") from error
    day = timedelta(days=1)
    return day_start(first, zone), day_start(last + day, zone), day_start(expires + day, zone)


def _stated(terms: Terms, view: View) -> Written:
    """The form as it was last kept."""
    zone = next((site.zone for site in view.sites if site.id in terms.sites), view.site_zone)
    first, last, expires = (
        instant(at_ms, zone, DAY) for at_ms in (terms.from_ms, terms.to_ms - 1, terms.expires_ms - 1)
    )
    return Written(terms.name, terms.body, terms.criteria, terms.sites, first, last, expires, terms.accounts)


def _choices(view: View, register: Register, named: list[Engagement]) -> dict[str, Any]:
    """The facilities and accounts that can be chosen, those already named among them."""
    accounts = _verifiers(register).union(*(one.terms.accounts for one in named))
    known = {site.id: view.named(site) for site in view.sites}
    facilities = {site: site for one in named for site in one.terms.sites} | known
    return {"accounts": sorted(accounts), "facilities": facilities}


def _verifiers(register: Register) -> set[str]:
    return {user.name for user, _ in register.everybody() if user.role is Role.VERIFIER}


def _refused(view: View, error: EngagementError) -> str:
    """Why an engagement is not taken, in the page's language."""
    return view.words(f"engagements.refused.{error.reason}", seen=error.seen, most=MOST_NAMES)
