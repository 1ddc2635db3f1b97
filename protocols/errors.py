"""What every error of Emitrace says: about what, what was seen, what to do.

::

    EmitraceError            subject, seen, hint
    +-- InputError           one problem of a file: file, line, field, seen, hint or nearest valid name
    +-- InputErrors          all problems of a file at once

Rooms derive their own classes from ``EmitraceError``; ``retry`` says whether trying again can help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class EmitraceError(Exception):
    """An error that says what it is about, what was seen and what to do next."""

    retry: ClassVar[bool] = False

    def __init__(self, subject: str, seen: str, hint: str = "") -> None:
        super().__init__(subject, seen, hint)
        self.subject = subject
        self.seen = seen
        self.hint = hint

    def __str__(self) -> str:
        parts = [f"{self.subject}: {self.seen}" if self.subject else self.seen]
        if self.hint:
            parts.append(self.hint)
        return ". ".join(part.rstrip(".") for part in parts) + ("" if parts[-1].endswith("?") else ".")


class InputError(EmitraceError):
    """One problem of an input file.

    Parameters
    ----------
    file : str
        Name of the file as the reader knows it.
    line : int
        Line of the field, or of the nearest table around it, counted from 1; 0 where there is none.
    field : str
        The field as written in the file, for example ``points[2].register``; empty for the whole file.
    seen : str
        What was found there.
    hint : str
        What to do.
    nearest : str
        The valid name nearest to what was seen; empty where none is near.
    """

    def __init__(self, file: str, line: int, field: str, seen: str, hint: str = "", nearest: str = "") -> None:
        place = f"{file}:{line}" if line else file
        advice = [part for part in (f"did you mean '{nearest}'?" if nearest else "", hint) if part]
        super().__init__(f"{place}: {field}" if field else place, seen, " ".join(advice))
        self.file = file
        self.line = line
        self.field = field
        self.nearest = nearest


class InputErrors(EmitraceError):  # noqa: N818 - many of them, in one
    """All problems of an input, in the order of its lines; never empty."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        if not errors:
            raise ValueError("a group of errors needs at least one")
        ordered = tuple(sorted(errors, key=lambda error: (error.file, error.line)))
        count = f"{len(ordered)} problem{'s' if len(ordered) > 1 else ''}"
        super().__init__(ordered[0].file, count, "correct them and check again")
        self.errors = ordered

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)
