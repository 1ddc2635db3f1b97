"""Tables as files: what a download rests on, and the answer that carries it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from fastapi.responses import Response

from collector.clock import now_ms
from collector.store.audit import record
from collector.store.knowledge import KnownAt
from collector.web.frame import View
from collector.web.table import CSV_TYPE, XLSX_TYPE, Provenance, Table, to_csv, to_xlsx

FORMATS = ("csv", "xlsx")


def provenance_of(view: View, known: KnownAt, more: Provenance = ()) -> Provenance:
    """What every exported table says of itself, with what its page adds: period, GWP set, filters."""
    words = view.words
    return (
        *more,
        (words("export.zone"), view.site_zone.key),
        (words("export.made"), f"{view.time(now_ms())} {view.zone.key}"),
        (words("export.software"), f"emitrace {version('emitrace')}"),
        (words("evidence.origin"), known.origin),
        (words("evidence.size"), str(known.tree_size)),
    )


def exported(
    asked: str, tables: Sequence[Table], name: str | None, basis: Provenance, file: str, view: View
) -> Response:
    """A table as CSV (the one of that name, else the first), or all of them as sheets of one XLSX.

    ``file`` is the download's name without its ending; ASCII.
    """
    words = view.words
    if asked not in FORMATS:
        return view.error(422, words("export.unknown", seen=asked[:16], known=", ".join(FORMATS)))
    if asked == "xlsx":
        data, kind = to_xlsx(tables, basis, words("export.basis")), XLSX_TYPE
    else:
        chosen = next((table for table in tables if table.name == name), tables[0])
        data, kind = to_csv(chosen, basis), CSV_TYPE
    with view.frame.books.database.writing() as connection:
        record(connection, "table-exported", f"{file}.{asked}", now_ms(), detail=str(view.request.url.query)[:500])
    headers = {"Content-Disposition": f'attachment; filename="{file}.{asked}"'}
    return Response(data, media_type=kind, headers=headers)
