"""Forms for instruments and for paper certificates: what the checks find is shown before anything is kept."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from calibration.events import Event
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.calibration.entering import Entered, enter, judged
from collector.calibration.form import EVENT_FIELDS, INSTRUMENT_FIELDS, Field, Filled, read_event, read_instrument
from collector.clock import now_ms
from collector.store.calibration import instruments_known
from collector.store.evidence_files import LARGEST, add_file
from collector.web.frame import Frame, View
from protocols.errors import EmitraceError

BODY = LARGEST + 64 * 1024
EVENT, INSTRUMENT = "/calibration/enter/event", "/calibration/enter/instrument"


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The forms and what becomes of them."""

    def page_of(
        view: View, action: str, values: Mapping[str, str], filled: Filled | None = None,
        looked: Entered | None = None, status: int = 200, said: str = "",
    ) -> Response:  # fmt: skip
        with books.database.reading() as connection:
            known = instruments_known(connection, books.plans)
        fields: Sequence[Field] = EVENT_FIELDS if action == EVENT else INSTRUMENT_FIELDS
        return view.render(
            "calibration-form.html", status, action=action, fields=fields, values=values, looked=looked, said=said,
            faults=() if filled is None else filled.faults, known=known, mark="" if filled is None else filled.mark,
            event=action == EVENT,
        )  # fmt: skip

    def settle(view: View, action: str, values: dict[str, str], file: tuple[str, bytes] | None) -> Response:
        """Show what was found; keep the record once just this one was looked at."""
        session = view.session
        assert session is not None  # noqa: S101 - the gate lets nobody else here
        if file is not None:
            name, data = file
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            try:
                with books.database.writing() as connection:
                    values["sha256"] = add_file(connection, data, name, media_type, now_ms(), session.user)
            except EmitraceError as error:
                return page_of(view, action, values, status=422, said=view.words("entry.file-refused", seen=error.seen))
        scan = values.get("sha256", "")
        filled = read_event(_own(values, EVENT_FIELDS), scan) if action == EVENT else read_instrument(
            _own(values, INSTRUMENT_FIELDS)
        )  # fmt: skip
        if filled.record is None:
            return page_of(view, action, values, filled, status=422)
        if values.get("looked") != filled.mark:
            with books.database.reading() as connection:
                looked = judged(filled.record, fresh=True, known=instruments_known(connection, books.plans))
            return page_of(view, action, values, filled, looked)
        try:
            with books.database.writing() as connection:
                enter(connection, books.plans, [filled.record], now_ms(), session.user)
        except EmitraceError as error:
            return page_of(view, action, values, status=409, said=view.words("entry.refused", seen=error.seen))
        about = filled.record.instrument if isinstance(filled.record, Event) else filled.record.id
        return RedirectResponse(f"/calibration/instruments/{about}", status_code=303)

    async def answer(request: Request, action: str) -> Response:
        async with request.form() as form:
            values = {name: value for name, value in form.items() if isinstance(value, str)}
            sent = form.get("file")
            file = (sent.filename or "file", await sent.read()) if isinstance(sent, UploadFile) and sent.size else None
        return await run_in_threadpool(lambda: settle(frame.open(request), action, values, file))

    @router.get(EVENT)
    @needs(Permission.CALIBRATION)
    def event_form(request: Request, instrument: str = "") -> Response:
        with books.database.reading() as connection:
            found = instruments_known(connection, books.plans).get(instrument)
        values = {} if found is None else {"instrument": found.id, "serial": found.serial}
        return page_of(frame.open(request), EVENT, values)

    @router.post(EVENT)
    @needs(Permission.CALIBRATION, largest=BODY)
    async def event(request: Request) -> Response:
        return await answer(request, EVENT)

    @router.get(INSTRUMENT)
    @needs(Permission.CALIBRATION)
    def instrument_form(request: Request) -> Response:
        return page_of(frame.open(request), INSTRUMENT, {})

    @router.post(INSTRUMENT)
    @needs(Permission.CALIBRATION)
    async def instrument(request: Request) -> Response:
        return await answer(request, INSTRUMENT)


def _own(values: Mapping[str, str], fields: Sequence[Field]) -> dict[str, str]:
    return {field.name: values[field.name] for field in fields if field.name in values}
