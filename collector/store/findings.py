"""Findings of verifiers and the central team's answers: a finding is its author's alone, and every revision stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, insert, select

from collector.store.audit import record
from collector.store.log import append_leaf
from collector.store.schema import answers, findings
from protocols.errors import EmitraceError
from protocols.wire.cbor import encode

LEAF, ANSWER_LEAF = "finding", "answer"
LONGEST_TEXT = 4000
LONGEST_REFERENCE = 1000
REFERENCES = ("/completeness", "/emissions", "/explain", "/inventory")
"""Pages of figures that a finding may be about."""


class Severity(StrEnum):
    """How grave a finding is, in the terms of ISO 14064-3, then what it asks for."""

    MATERIAL_MISSTATEMENT = "material-misstatement"
    MISSTATEMENT = "misstatement"
    NONCONFORMITY = "nonconformity"
    CLARIFICATION = "clarification"
    OBSERVATION = "observation"


class State(StrEnum):
    """Whether it still stands; only its author closes it."""

    OPEN = "open"
    CLOSED = "closed"


class FindingError(EmitraceError):
    """A finding or answer that is not taken; ``reason`` is text, severity, state, reference, unknown or foreign."""

    def __init__(self, reason: str, subject: str, seen: str, hint: str) -> None:
        super().__init__(subject, seen, hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Said:
    """What a verifier says: how grave, whether it stands, the text, and the path of the figure it is about."""

    severity: str
    text: str
    reference: str = ""
    state: str = State.OPEN.value


@dataclass(frozen=True, slots=True)
class Finding:
    """One revision of a finding; ``position`` is that of its leaf, ``at_ms`` UTC ms."""

    number: int
    revision: int
    engagement: int
    author: str
    severity: Severity
    state: State
    text: str
    reference: str
    at_ms: int
    position: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the central team says to a finding."""

    finding: int
    by: str
    text: str
    at_ms: int
    position: int


def add_finding(connection: Connection, engagement: int, author: str, said: Said, at_ms: int) -> Finding:
    """Keep a new finding; FindingError where it says too little."""
    number = int(connection.scalar(select(func.max(findings.c.finding))) or 0) + 1
    return _keep(connection, number, 1, engagement, author, said, at_ms)


def revise_finding(connection: Connection, number: int, author: str, said: Said, at_ms: int) -> Finding:
    """Keep a further revision of somebody's own finding; FindingError where it is not theirs."""
    before = the_finding(connection, number)
    if before.author != author:
        raise FindingError("foreign", f"finding {number}", f"is {before.author}'s", "Write one of your own.")
    return _keep(connection, number, before.revision + 1, before.engagement, author, said, at_ms)


def add_answer(connection: Connection, number: int, by: str, text: str, at_ms: int) -> Answer:
    """Keep an answer to a finding; FindingError where it says nothing."""
    of = the_finding(connection, number)
    text = _text(text, f"answer to finding {number}")
    count = connection.scalar(select(func.count()).where(answers.c.finding == number)) or 0
    document = encode([number, count + 1, by, text, at_ms])
    digest = sha256(document).digest()
    position = append_leaf(connection, ANSWER_LEAF, f"{number}/{count + 1}", digest, at_ms)
    connection.execute(
        insert(answers).values(finding=number, by=by, text=text, at_ms=at_ms, position=position, document=document)
    )
    record(connection, "finding-answered", f"finding/{number}", at_ms, detail=f"engagement {of.engagement}")
    return Answer(number, by, text, at_ms, position)


def all_findings(connection: Connection, engagement: int | None = None) -> list[Finding]:
    """The newest revision of each finding (of an engagement), newest finding first."""
    newest = select(func.max(findings.c.id)).group_by(findings.c.finding)
    query = select(findings).where(findings.c.id.in_(newest)).order_by(findings.c.finding.desc())
    if engagement is not None:
        query = query.where(findings.c.engagement == engagement)
    return [_finding(row) for row in connection.execute(query)]


def the_finding(connection: Connection, number: int) -> Finding:
    """The newest revision of one; FindingError where there is none."""
    found = revisions_of(connection, number)
    if not found:
        raise FindingError("unknown", f"finding {number}", "is not here", "The page /findings lists them.")
    return found[-1]


def revisions_of(connection: Connection, number: int) -> list[Finding]:
    """Every revision of one, in order."""
    query = select(findings).where(findings.c.finding == number).order_by(findings.c.revision)
    return [_finding(row) for row in connection.execute(query)]


def answers_to(connection: Connection, numbers: Iterable[int]) -> dict[int, list[Answer]]:
    """The answers to findings, in order."""
    found: dict[int, list[Answer]] = {}
    query = select(answers).where(answers.c.finding.in_(list(numbers))).order_by(answers.c.id)
    for row in connection.execute(query):
        found.setdefault(row.finding, []).append(Answer(row.finding, row.by, row.text, row.at_ms, row.position))
    return found


def checked_reference(path: str) -> str:
    """The path of a page of figures, as an address of this collector; FindingError where it is none."""
    path = path.strip()
    page = path.partition("?")[0]
    ours = page in REFERENCES or page.startswith(tuple(f"{one}/" for one in REFERENCES))
    if path and not (ours and len(path) <= LONGEST_REFERENCE and path.isprintable() and "\\" not in path):
        hint = f"Take the address of a page below {', '.join(REFERENCES)}, from its first slash on."
        raise FindingError("reference", "finding", repr(path[:64]), hint)
    return path


def _keep(
    connection: Connection, number: int, revision: int, engagement: int, author: str, said: Said, at_ms: int
) -> Finding:
    if said.severity not in set(Severity):
        raise FindingError("severity", "finding", repr(said.severity[:32]), f"Take one of {', '.join(Severity)}.")
    if said.state not in set(State):
        raise FindingError("state", "finding", repr(said.state[:32]), f"Take one of {', '.join(State)}.")
    text, reference = _text(said.text, f"finding {number}"), checked_reference(said.reference)
    document = encode(
        [number, revision, engagement, author, said.severity, said.state, text, reference, at_ms]
    )  # fmt: skip
    position = append_leaf(connection, LEAF, f"{number}/{revision}", sha256(document).digest(), at_ms)
    connection.execute(
        insert(findings).values(
            finding=number, revision=revision, engagement=engagement, author=author, severity=said.severity,
            state=said.state, text=text, reference=reference, at_ms=at_ms, position=position, document=document,
        )
    )  # fmt: skip
    action = "finding-made" if revision == 1 else "finding-revised"
    detail = f"engagement {engagement}, {said.severity}, {said.state}"
    record(connection, action, f"finding/{number}", at_ms, detail=detail)
    return Finding(
        number, revision, engagement, author, Severity(said.severity), State(said.state), text, reference, at_ms,
        position,
    )  # fmt: skip


def _text(text: str, subject: str) -> str:
    said = text.replace("\r\n", "\n").strip()
    if not said or len(said) > LONGEST_TEXT:
        raise FindingError("text", subject, f"{len(said)} signs", f"Write 1 to {LONGEST_TEXT} signs.")
    return said


def _finding(row: Any) -> Finding:
    return Finding(
        row.finding, row.revision, row.engagement, row.author, Severity(row.severity), State(row.state), row.text,
        row.reference, row.at_ms, row.position,
    )  # fmt: skip
