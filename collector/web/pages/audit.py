"""The audit trail: who did what, filtered, in pages, and as a file."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.store.audit import Entry, Filter, count_entries, entries
from collector.store.knowledge import known_now
from collector.web.export import exported, provenance_of
from collector.web.frame import Entry as Place
from collector.web.frame import Frame, View
from collector.web.period import read_instant
from collector.web.shown import instant
from collector.web.table import Cell, Column, Kind, Table

ENTRY = Place("audit", "/audit", Permission.AUDIT, section="evidence")
PAGE = 50
MOST_EXPORTED = 100_000
ISO = "%Y-%m-%dT%H:%M:%SZ"


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page, which leaves as CSV or XLSX with ``format``."""

    @router.get("/audit")
    @needs(Permission.AUDIT)
    def audit_page(request: Request) -> Response:
        view, query = frame.open(request), request.query_params
        try:
            wanted, said = _wanted(view), None
        except ValueError:
            wanted, said = Filter(), view.words("audit.bad-time")
        before = int(query["before"]) if query.get("before", "").isdecimal() and len(query["before"]) < 19 else None
        as_file = "format" in query and said is None
        with books.database.reading() as connection:
            found = entries(connection, wanted, MOST_EXPORTED if as_file else PAGE + 1, before)
            total, known = count_entries(connection, wanted), known_now(connection)
        if as_file:
            basis = provenance_of(view, known, [(view.words("export.what"), view.words("nav.audit"))])
            return exported(query["format"], [_table(found, view)], None, basis, "audit-trail", view)
        return view.render(
            "audit.html", 422 if said else 200, said=said, found=found[:PAGE], total=total, asked=query,
            older=view.address(before=str(found[PAGE - 1].position)) if len(found) > PAGE else None,
            newest=view.address(before=None) if before is not None else None,
            file=lambda kind: view.address(format=kind, before=None),
        )  # fmt: skip


def _wanted(view: View) -> Filter:
    """What the address asks for; ValueError where a time is none."""
    query = view.request.query_params
    times = [read_instant(query[name], view.zone) if query.get(name) else None for name in ("from", "to")]
    return Filter(query.get("who", "")[:128], query.get("action", "")[:64], query.get("of", "")[:200], *times)


def _table(found: list[Entry], view: View) -> Table:
    """Every entry as a row; times in UTC, words as the database keeps them: a file is the same for everybody."""
    words, utc = view.words, ZoneInfo("UTC")
    titles = ("audit.time-utc", "audit.kind", "audit.who", "account.address", "audit.what", "audit.of", "audit.outcome")
    columns = [Column(words("audit.leaf"), Kind.COUNT), *(Column(words(title)) for title in (*titles, "audit.detail"))]
    rows = [
        [Cell(value) for value in (
            one.position, instant(one.at_ms, utc, ISO), one.kind.value, one.who, one.address, one.action, one.object,
            one.outcome.value, one.detail,
        )]
        for one in found
    ]  # fmt: skip
    return Table("audit", words("nav.audit"), columns, rows)
