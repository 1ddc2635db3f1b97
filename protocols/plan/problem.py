"""One broken rule of a plan, before it is known in which line of which file it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.errors import InputError
from protocols.toml import Document, nearest, written
from protocols.toml_lines import TomlPath


@dataclass(frozen=True, slots=True)
class Problem:
    """What was seen at a path of the plan, what to do, and the valid name nearest to it."""

    path: TomlPath
    seen: str
    hint: str = ""
    near: str = ""

    def in_file(self, document: Document) -> InputError:
        """The problem with its file and line."""
        line = document.locate(self.path)
        return InputError(document.file, line, written(self.path), self.seen, self.hint, self.near)


def unknown(path: TomlPath, kind: str, name: str, valid: Iterable[str], where: str = "") -> Problem:
    """A name that nothing of its kind bears; ``where`` says of what, for example " in model-x"."""
    names = list(valid)
    near = nearest(name, names)
    some = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    hint = f"known: {some}" if names else f"there is no {kind} yet"
    return Problem(path, f'no {kind} "{name}"{where}', "" if near else hint, near)
