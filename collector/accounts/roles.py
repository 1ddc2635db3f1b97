"""Roles, permissions, and the one matrix that says which role may do what; pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What somebody is to this collector; every account has exactly one."""

    TECHNICIAN = "technician"
    MANAGER = "manager"
    VERIFIER = "verifier"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a route asks for; every route names one."""

    PUBLIC = "public"
    """No account at all: the sign-in page, style and script files, whether the service answers."""
    OWN = "own"
    """One's own account: its page, its password, its sessions, signing out."""
    READ = "read"
    """Figures, agents, certificates, the log and what is in quarantine: everything that is shown."""
    METRICS = "metrics"
    """How the service itself is doing."""
    EVIDENCE = "evidence"
    """Signed bytes as they came in, and bundles for ``emitrace-verify``."""
    BUILD = "build"
    """Making an inventory version."""
    SEAL = "seal"
    """Sealing a version for ever."""
    QUARANTINE = "quarantine"
    """Deciding about what is in quarantine."""
    ALERTS = "alerts"
    """Acknowledging alerts."""
    ENGAGEMENTS = "engagements"
    """Making and changing verification engagements, and seeing them all."""
    FINDINGS = "findings"
    """Writing findings in one's own engagement: a verifier's alone, so that nobody else can be their author."""
    ANSWERS = "answers"
    """Answering findings."""
    CALIBRATION = "calibration"
    """Entering instruments, events and their files, and deciding what follows from them."""
    AUDIT = "audit"
    """Who did what: the audit trail."""
    AGENTS = "agents"
    """Which agents are believed: inviting, confirming, revoking and retiring them."""
    TOKENS = "tokens"
    """One's own API tokens."""
    ACCOUNTS = "accounts"
    """Other people's accounts."""


_T, _M, _V, _A = Role

MATRIX: Mapping[Permission, frozenset[Role]] = {
    Permission.OWN: frozenset({_T, _M, _V, _A}),
    Permission.READ: frozenset({_T, _M, _V, _A}),
    Permission.METRICS: frozenset({_T, _M, _A}),
    Permission.EVIDENCE: frozenset({_M, _V, _A}),
    Permission.BUILD: frozenset({_M, _A}),
    Permission.SEAL: frozenset({_M, _A}),
    Permission.QUARANTINE: frozenset({_M, _A}),
    Permission.ALERTS: frozenset({_T, _M, _A}),
    Permission.ENGAGEMENTS: frozenset({_M, _A}),
    Permission.FINDINGS: frozenset({_V}),
    Permission.ANSWERS: frozenset({_M, _A}),
    Permission.CALIBRATION: frozenset({_M, _A}),
    Permission.AUDIT: frozenset({_M, _A}),
    Permission.AGENTS: frozenset({_M, _A}),
    Permission.TOKENS: frozenset({_T, _M, _V, _A}),
    Permission.ACCOUNTS: frozenset({_A}),
}
"""Permission -> roles that have it; ``PUBLIC`` needs no role. docs/central-team.md shows the same as a table."""

GRANTABLE = (Permission.READ, Permission.METRICS, Permission.EVIDENCE)
"""What a token may be good for: reading, and nothing that changes anything."""


def may(role: Role, permission: Permission) -> bool:
    """Whether the role has the permission."""
    return permission is Permission.PUBLIC or role in MATRIX[permission]
