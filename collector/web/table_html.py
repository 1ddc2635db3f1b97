"""The lines of a table as HTML, written without a template: a year of hours has many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from collector.web.table import Cell, Column, Line


def lines_html(lines: Iterable[Line], columns: Sequence[Column], part: str) -> Markup:
    """Rows with their first cell as heading; ``part`` says on a cell that it is known in part."""
    hint = f' title="{escape(part)}"'
    starts = [(f'<td class="{"n " if column.numeric else ""}', column.shown) for column in columns]
    written = []
    for line in lines:
        written.append(f'<tr><th scope="row">{_inside(line[0], columns[0].shown(line[0].value))}</th>')
        for (start, shown), cell in zip(starts[1:], line[1:], strict=True):
            said = hint if cell.state else ""
            written.append(f'{start}{cell.state or ""}"{said}>{_inside(cell, shown(cell.value))}</td>')
        written.append("</tr>\n")
    return Markup("".join(written))  # noqa: S704 -- every value is escaped


def _inside(cell: Cell, text: str) -> str:
    shown = escape(text)
    return f'<a href="{escape(cell.href)}">{shown}</a>' if cell.href else shown
