"""XML within bounds: no document type, no entities, no depth or size that could hurt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from calibration.errors import DccError

LARGEST_BYTES = 16 * 2**20
"""Size of a file; documents such as a scan may be embedded."""

DEEPEST = 64
MOST_ELEMENTS = 200_000
MOST_ATTRIBUTES = 64
_HINT = "ask the laboratory for the certificate as plain DCC XML"


@dataclass(slots=True)
class Node:
    """An element: local name, namespace, attributes by local name, text before and between its children."""

    name: str
    space: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text without surrounding space."""
        return "".join(self.texts).strip()

    def all(self, *path: str) -> Iterator[Node]:
        """Elements along a path of local names, in order of the document."""
        if not path:
            yield self
            return
        for child in self.children:
            if child.name == path[0]:
                yield from child.all(*path[1:])

    def first(self, *path: str) -> Node | None:
        """The first element along a path; None where there is none."""
        return next(self.all(*path), None)

    def said(self, *path: str) -> str:
        """The text of the first element along a path; empty where there is none."""
        found = self.first(*path)
        return "" if found is None else found.text

    def below(self, name: str) -> Iterator[Node]:
        """Elements of a local name at any depth, without those inside one another."""
        waiting = list(reversed(self.children))
        while waiting:
            node = waiting.pop()
            if node.name == name:
                yield node
            else:
                waiting.extend(reversed(node.children))

    def is_a(self, *kinds: str) -> bool:
        """Whether one of the kinds is a token of its ``refType``."""
        return not set(kinds).isdisjoint(self.attributes.get("refType", "").split())


@dataclass(slots=True)
class _Building:
    roots: list[Node] = field(default_factory=list)
    open: list[Node] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    count: int = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.open) >= DEEPEST or self.count > MOST_ELEMENTS or len(attributes) > MOST_ATTRIBUTES:
            raise DccError("certificate", "XML too deep or too large", _HINT)
        space, _, name = tag.rpartition(" ")
        node = Node(name, space, {key.rpartition(" ")[2]: value for key, value in attributes.items()})
        (self.open[-1].children if self.open else self.roots).append(node)
        self.open.append(node)

    def end(self, _tag: str) -> None:
        self.open.pop()

    def text(self, data: str) -> None:
        if self.open:
            self.open[-1].texts.append(data)

    def comment(self, data: str) -> None:
        self.comments.append(data)


def parse(data: bytes) -> tuple[Node, tuple[str, ...]]:
    """The root element of XML bytes, and the comments in it.

    Raises
    ------
    DccError
        It is too large, not XML, or has a document type or entities.
    """
    if len(data) > LARGEST_BYTES:
        raise DccError("certificate", f"{len(data)} bytes", f"at most {LARGEST_BYTES}")
    building = _Building()

    def refuse(*_: object) -> NoReturn:
        raise DccError("certificate", "a document type or an entity, which a DCC never needs", _HINT)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = building.start
    parser.EndElementHandler = building.end
    parser.CharacterDataHandler = building.text
    parser.CommentHandler = building.comment
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # also an unknown encoding
        raise DccError("certificate", f"not XML: {error}", _HINT) from error
    return building.roots[0], tuple(building.comments)
