"""Quarantine: what was refused and why, one object taken apart, and a person's decision about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.ingest.again import may_be_tried, try_again
from collector.store.decisions import decisions_of, read_entries, read_entry, record_decision
from collector.store.quarantine import count_by_reason
from collector.web.frame import Entry, Frame, View
from protocols.errors import EmitraceError
from protocols.records import Batch
from protocols.wire.codec import decode_item, decompress, item_kind
from protocols.wire.cose import open_sealed

ENTRY = Entry("quarantine", "/quarantine", section="evidence")
SHOWN = 100
SHOWN_BYTES = 256
MOST_ENTRIES = 2**62
OUTCOMES = ("stored", "duplicate", "refused", "rejected")
UNREADABLE = (EmitraceError, ValueError, ArithmeticError, LookupError, TypeError)
"""What bytes from outside may do to what reads them; none of it may break the page."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the bytes say of themselves, as far as they can be read; ``stopped`` is where reading ended."""

    told: tuple[tuple[str, str], ...]
    stopped: str


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The pages and their forms."""

    @router.get("/quarantine")
    @needs(Permission.READ)
    def list_page(request: Request, reason: str = "", before: str = "") -> Response:
        view = frame.open(request)
        number = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
        with books.database.reading() as connection:
            found = read_entries(connection, reason or None, before=number, limit=SHOWN)
            reasons = sorted(count_by_reason(connection).items())
        return view.render(
            "quarantine.html", found=found, reasons=reasons, reason=reason,
            following=view.address(before=str(found[-1].object.id)) if len(found) == SHOWN else None,
        )  # fmt: skip

    def page_of(view: View, entry: int, status: int = 200, said: str | None = None) -> Response:
        with books.database.reading() as connection:
            found = read_entry(connection, min(entry, MOST_ENTRIES))
            decisions = decisions_of(connection, entry) if found else ()
        if found is None:
            return view.error(404, view.words("quarantine.unknown", id=entry))
        one, digest, data = found
        done = view.request.query_params.get("done", "")
        return view.render(
            "quarantine-one.html", status, q=one, digest=digest.hex(), header=_header(data), decisions=decisions,
            said=said, start=_dump(data), kept=len(data), tried=may_be_tried(one.reason) and len(data) == one.size,
            done=view.words(f"quarantine.done.{done}") if done in OUTCOMES else None,
            closed=any(d.outcome in ("stored", "duplicate") for d in decisions),
        )  # fmt: skip

    @router.get("/quarantine/{entry:int}")
    @needs(Permission.READ)
    def one_page(request: Request, entry: int) -> Response:
        return page_of(frame.open(request), entry)

    @router.post("/quarantine/{entry:int}/accept")
    @needs(Permission.QUARANTINE)
    def accept(
        request: Request, entry: int, reason: Annotated[str, Form()] = "", checked: Annotated[str, Form()] = ""
    ) -> Response:
        view = frame.open(request)
        if checked != "yes":
            return page_of(view, entry, 422, view.words("quarantine.unchecked"))
        try:
            outcome = try_again(books, min(entry, MOST_ENTRIES), request.state.session.user, reason, now_ms())
        except EmitraceError as error:
            return page_of(view, entry, 422, view.words("refused", seen=error))
        return RedirectResponse(f"/quarantine/{entry}?done={outcome.value}", status_code=303)

    @router.post("/quarantine/{entry:int}/reject")
    @needs(Permission.QUARANTINE)
    def reject(request: Request, entry: int, reason: Annotated[str, Form()] = "") -> Response:
        view = frame.open(request)
        try:
            with books.database.writing() as connection:
                if read_entry(connection, min(entry, MOST_ENTRIES)) is None:
                    return view.error(404, view.words("quarantine.unknown", id=entry))
                user = request.state.session.user
                record_decision(connection, entry, "reject", "rejected", user, reason, now_ms())
        except EmitraceError as error:
            return page_of(view, entry, 422, view.words("refused", seen=error))
        return RedirectResponse(f"/quarantine/{entry}?done=rejected", status_code=303)


def _header(data: bytes) -> Header:
    """What the bytes say of themselves; nothing of it is believed."""
    told: list[tuple[str, str]] = []
    try:
        sealed = open_sealed(data)
        told += [("key", sealed.kid.hex()), ("type", sealed.content_type), ("payload", str(len(sealed.payload)))]
        item = decode_item(decompress(sealed.payload), item_kind(sealed))
        told += [("stream", item.stream_id.hex()), ("sequence", str(item.sequence)), ("previous", item.previous.hex())]
        if isinstance(item, Batch):
            told += [("plan", item.plan.hex()), ("from", str(item.from_ms)), ("to", str(item.to_ms))]
    except UNREADABLE as error:
        return Header(tuple(told), str(error)[:400])
    return Header(tuple(told), "")


def _dump(data: bytes) -> str:
    """The first bytes, hex, eight in a line: so many fit on a phone."""
    return "\n".join(data[at : at + 8].hex(" ") for at in range(0, min(len(data), SHOWN_BYTES), 8))
