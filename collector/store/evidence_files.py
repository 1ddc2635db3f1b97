"""Files that prove something, such as the scan of a certificate: kept word for word under their SHA-256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from collector.store.audit import record
from collector.store.log import append_leaf
from collector.store.schema import evidence_files
from protocols.errors import EmitraceError

LEAF = "evidence-file"
LARGEST = 20 * 1024 * 1024
"""Of one file. [bytes]"""
LONGEST_NAME = 200
MEDIA_TYPES = frozenset({"application/pdf", "application/xml", "image/jpeg", "image/png", "image/webp", "text/xml"})
"""What is taken: scans, photographs and digital certificates."""


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file with its place in the log; ``known_ms`` is UTC ms, ``size`` bytes."""

    sha256: str
    name: str
    media_type: str
    size: int
    leaf: int
    known_ms: int
    by: str


def add_file(connection: Connection, data: bytes, name: str, media_type: str, at_ms: int, by: str) -> str:
    """Keep a file and give its SHA-256 in hex; one that is here already is kept once, under its first name.

    Raises
    ------
    EmitraceError
        It is empty, larger than ``LARGEST``, or of a media type that is not taken.
    """
    subject = f"file {name[:LONGEST_NAME]!r}"
    if not data:
        raise EmitraceError(subject, "it is empty", "Scan it again, or choose the right file.")
    if len(data) > LARGEST:
        raise EmitraceError(subject, f"{len(data)} bytes, at most {LARGEST} are taken", "Scan it in a coarser way.")
    if media_type not in MEDIA_TYPES:
        raise EmitraceError(subject, f"media type {media_type!r}", f"One of {', '.join(sorted(MEDIA_TYPES))}.")
    digest = hashlib.sha256(data)
    if connection.scalar(select(evidence_files.c.leaf).where(evidence_files.c.sha256 == digest.digest())) is None:
        leaf = append_leaf(connection, LEAF, digest.hexdigest(), digest.digest(), at_ms)
        connection.execute(
            insert(evidence_files).values(
                leaf=leaf, sha256=digest.digest(), name=name[:LONGEST_NAME], media_type=media_type, size=len(data),
                bytes=data, known_ms=at_ms, by=by,
            )
        )  # fmt: skip
        record(connection, "evidence-file-kept", digest.hexdigest(), at_ms, detail=name[:LONGEST_NAME])
    return digest.hexdigest()


def file_of(connection: Connection, sha256: str) -> tuple[EvidenceFile, bytes] | None:
    """A file and what is known of it; None where it is not kept."""
    try:
        wanted = bytes.fromhex(sha256)
    except ValueError:
        return None
    row = connection.execute(select(evidence_files).where(evidence_files.c.sha256 == wanted)).one_or_none()
    if row is None:
        return None
    about = EvidenceFile(row.sha256.hex(), row.name, row.media_type, row.size, row.leaf, row.known_ms, row.by)
    return about, row.bytes
