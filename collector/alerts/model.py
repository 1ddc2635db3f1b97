"""The kinds of alerts, and what a condition is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is the matter; its words are ``alert.KIND`` in the messages."""

    AGENT_SILENT = "agent-silent"
    """Nothing was heard of an agent for a while."""
    GAP = "gap"
    """Items wait behind one that does not come."""
    LOST = "lost"
    """An agent let go of batches that nobody has."""
    QUARANTINE = "quarantine"
    """Messages came that cannot be believed."""
    DIFFERENT = "different"
    """Batches whose figures do not follow from their own raw words."""
    HOURS = "hours"
    """Hours that cannot be made."""
    LOG = "log"
    """The evidence log is not what was seen of it before."""
    HEALING = "healing"
    """The books are behind what was signed or acknowledged."""
    BROKER = "broker"
    """The collector is cut off from its broker."""
    CALIBRATION = "calibration"
    """Instruments that failed, are overdue, or have to be tested soon."""
    DISK = "disk"
    """The books will not fit much longer."""


URGENT = frozenset({Kind.LOG, Kind.HEALING, Kind.DISK})
"""Told in quiet hours too."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds now.

    Attributes
    ----------
    subject : str
        What it is about within its kind: an agent's id, a reason, nothing. Kind and subject name the alert.
    facts : mapping of str to (str or int)
        What its words are filled in with.
    """

    kind: Kind
    subject: str
    facts: Mapping[str, str | int] = field(default_factory=dict)
