"""Certificates the central team has entered: kept for ever, logged, and known from their leaf on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from calibration.certificates import Certificate, decode_certificate, encode_certificate
from calibration.events import from_certificate
from collector.store.audit import record
from collector.store.log import append_leaf
from collector.store.plans import PlanBook
from collector.store.reached import mark_reached
from collector.store.schema import certificates
from protocols.errors import EmitraceError


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate with its place in the log; known from tree size ``leaf + 1`` on."""

    certificate: Certificate
    digest: bytes
    leaf: int
    known_ms: int


def add_certificate(connection: Connection, book: PlanBook, certificate: Certificate, at_ms: int) -> bool:
    """Keep a certificate and ask for the hours it reaches anew; False where the same record is already here."""
    data = encode_certificate(certificate)
    digest = hashlib.sha256(data).digest()
    known = {stored.certificate.id: stored.digest for stored in all_certificates(connection)}
    if certificate.id in known:
        if known[certificate.id] == digest:
            return False
        raise EmitraceError(
            f"certificate {certificate.id}", "another record with this id is already kept",
            "Records are never edited: give a new id and name the old one in supersedes.",
        )  # fmt: skip
    leaf = append_leaf(connection, "certificate", digest.hex(), digest, at_ms)
    connection.execute(
        insert(certificates).values(
            digest=digest, instrument=certificate.instrument, number=certificate.number, bytes=data, leaf=leaf,
            known_ms=at_ms,
        )
    )  # fmt: skip
    record(connection, "certificate-entered", certificate.id, at_ms, detail=certificate.instrument)
    mark_reached(connection, book, {certificate.instrument}, from_certificate(certificate))
    return True


def all_certificates(connection: Connection) -> tuple[StoredCertificate, ...]:
    """Every certificate, in the order of entry."""
    rows = connection.execute(select(certificates).order_by(certificates.c.leaf))
    return tuple(StoredCertificate(decode_certificate(row.bytes), row.digest, row.leaf, row.known_ms) for row in rows)


def certificate_digests(connection: Connection) -> tuple[str, ...]:
    """SHA-256 of every certificate record, hex, sorted."""
    return tuple(sorted(digest.hex() for digest in connection.scalars(select(certificates.c.digest))))
