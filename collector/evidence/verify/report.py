"""What a verification found: contradictions with their place, remarks, counts, who signed, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from cryptography import x509

from collector.inventory.scope import WHOLE, Scope
from protocols.transparency.checkpoint import Checkpoint
from protocols.transparency.note import NoteKey

KEPT = 200
"""Findings and notes kept word for word; the rest is counted."""
ENOUGH = 10_000
"""After so many contradictions nothing more is looked at."""


class EnoughError(Exception):
    """There is nothing left to believe in this bundle."""


class Verdict(Enum):
    """What a bundle turned out to be; the value is the exit code."""

    CONSISTENT = 0
    CONTRADICTS = 1
    UNANCHORED = 4


class Step(Enum):
    """Which promise a finding breaks."""

    CONTAINER = "container"
    MANIFEST = "manifest"
    SIGNATURE = "signature"
    LOG = "log"
    DOCUMENT = "document"
    ITEM = "item"
    CHAIN = "chain"
    STATE = "state"
    RECOMPUTE = "recompute"
    HOURS = "hours"
    INVENTORY = "inventory"


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction: which promise, where, and what was seen."""

    step: Step
    where: str
    seen: str


@dataclass(frozen=True, slots=True)
class Extent:
    """What of a stream the bundle holds; ``later`` counts items that the evidence log has beyond it.

    ``previous`` is the digest that the first item names, ``head`` that of the last: bundles of adjoining
    periods join there. Times are None where no batch is here. [UTC ms]
    """

    agent: str
    stream: str
    first: int
    last: int
    from_ms: int | None
    to_ms: int | None
    previous: str
    head: str
    later: int


@dataclass(frozen=True, slots=True)
class Stated:
    """What the manifest says of itself: which bundle this is, and the log it stands on. ``made_ms`` is UTC ms."""

    manifest: str
    made_ms: int
    software: str
    origin: str
    tree_size: int
    tree_root: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint in the bundle that the log begins with; ``key`` is what signed it, as C2SP encodes a key.

    ``stamped_ms`` is the time that a stamp of it names, believed only where it was ``stamp_checked``. [UTC ms]
    """

    origin: str
    size: int
    root: str
    key: str
    stamped_ms: int | None = None
    stamp_checked: bool = False


@dataclass(slots=True)
class Report:
    """Grows while the bundle is taken apart; ``scope`` and ``left_out`` say what of a partial one is not here.

    ``trusted`` are the fingerprints the verifier holds, ``earlier`` a checkpoint of the log it holds from before,
    ``log_keys`` the keys of logs and ``tsa_roots`` the roots of time stamps that it holds; ``checkpoints`` are the
    signed ones of the bundle, smallest first.
    """

    trusted: frozenset[str]
    findings: list[Finding] = field(default_factory=list)
    contradictions: int = 0
    notes: list[str] = field(default_factory=list)
    remarks: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    signers: dict[str, str] = field(default_factory=dict)
    period: tuple[int, int] | None = None
    extents: list[Extent] = field(default_factory=list)
    scope: Scope = WHOLE
    left_out: dict[str, int] = field(default_factory=dict)
    stated: Stated | None = None
    earlier: Checkpoint | None = None
    log_keys: frozenset[NoteKey] = frozenset()
    tsa_roots: tuple[x509.Certificate, ...] = ()
    checkpoints: list[Signed] = field(default_factory=list)

    def find(self, step: Step, where: str, seen: object) -> None:
        """Keep a contradiction; EnoughError where there were too many."""
        self.contradictions += 1
        if len(self.findings) < KEPT:
            self.findings.append(Finding(step, where, str(seen)[:2000]))
        if self.contradictions >= ENOUGH:
            raise EnoughError

    def note(self, remark: str) -> None:
        """Keep something a verifier should know that contradicts nothing."""
        self.remarks += 1
        if len(self.notes) < KEPT:
            self.notes.append(remark)

    def count(self, what: str, by: int = 1) -> None:
        """Count what was checked."""
        self.counts[what] = self.counts.get(what, 0) + by

    def leave_out(self, what: str, by: int = 1) -> None:
        """Count what a partial bundle leaves out, as far as it says so."""
        self.left_out[what] = self.left_out.get(what, 0) + by

    def signed_by(self, fingerprint: str, role: str) -> None:
        """Remember a key whose signature held; one key in two roles would let one party speak for another."""
        before = self.signers.setdefault(fingerprint, role)
        if role not in before.split(" and "):
            self.signers[fingerprint] = f"{before} and {role}"
            self.find(Step.SIGNATURE, f"key {fingerprint}", f"signs as {self.signers[fingerprint]}")

    def holds_log_key(self, one: Signed) -> bool:
        """Whether the verifier holds the key that signed a checkpoint."""
        return one.key in {key.encoded() for key in self.log_keys}

    def unused(self) -> list[str]:
        """Anchors the verifier holds that signed nothing here."""
        return sorted(self.trusted - set(self.signers))

    def unanchored(self) -> Iterable[str]:
        """Keys that signed something and that the verifier does not hold."""
        return sorted(set(self.signers) - self.trusted)

    @property
    def verdict(self) -> Verdict:
        """Keys in the bundle are never anchors: only those the verifier brings."""
        if self.contradictions:
            return Verdict.CONTRADICTS
        if not self.signers or set(self.signers) - self.trusted:
            return Verdict.UNANCHORED
        return Verdict.CONSISTENT
