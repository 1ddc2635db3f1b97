"""Certificates of instruments: the record, its TOML form, and its canonical bytes for the evidence log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from calibration.days import FIRST_YEAR, LAST_YEAR
from calibration.errors import CertificateError
from calibration.evidence import FORCE, Kind, Result, supports
from protocols.plan.model import Identifier, Instrument, Model
from protocols.toml import parse_toml, validate
from protocols.wire.cbor import decode, encode
from protocols.wire.errors import WireError

VERSION = 1
"""Version of the canonical form."""


class Certificate(Model):
    """One document about one instrument.

    ``valid_until`` is the last valid day as printed; it wins over ``interval_months``, the user's or the
    regulation's interval counted from ``performed_on``. ``uncertainty`` is the expanded U in
    ``uncertainty_unit`` with coverage factor ``k``. ``supersedes`` names a record that this one replaces, for
    a mistake made when it was entered: records are never edited.
    """

    id: Identifier
    instrument: Identifier
    serial: Annotated[str, Field(min_length=1, max_length=128)]
    kind: Kind
    number: Annotated[str, Field(min_length=1, max_length=128)]
    laboratory: Annotated[str, Field(min_length=1, max_length=256)]
    regulation: Annotated[str, Field(max_length=128)] = ""
    performed_on: date
    valid_until: date | None = None
    interval_months: Annotated[int, Field(ge=1, le=600)] | None = None
    result: Result
    class_name: Annotated[str, Field(alias="class", max_length=32)] = ""
    uncertainty: Annotated[Decimal, Field(gt=0)] | None = None
    uncertainty_unit: Annotated[str, Field(max_length=32)] = ""
    k: Annotated[Decimal, Field(gt=0)] | None = None
    document_sha256: Annotated[str, Field(max_length=64)] = ""
    supersedes: Annotated[str, Field(max_length=64)] = ""
    note: Annotated[str, Field(max_length=4096)] = ""

    @field_validator("document_sha256")
    @classmethod
    def _is_a_digest(cls, text: str) -> str:
        if text and not re.fullmatch("[0-9a-f]{64}", text):
            raise ValueError("a SHA-256 is 64 hexadecimal digits in small letters")
        return text

    @field_validator("performed_on", "valid_until")
    @classmethod
    def _is_of_our_time(cls, day: date | None) -> date | None:
        if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise ValueError(f"a year from {FIRST_YEAR} to {LAST_YEAR}")
        return day

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Certificate:
        failed = self.result is Result.FAIL
        if self.kind is Kind.STATEMENT:
            raise ValueError("a duty holder's statement is no certificate")
        if self.kind is Kind.VERIFICATION and failed:
            raise ValueError("a verification certificate is a pass; a failure is a verification-result-notice")
        if self.kind is Kind.REJECTION and not failed:
            raise ValueError("a verification-result-notice is a failure; a pass is a verification-certificate")
        if failed and (self.valid_until is not None or self.interval_months is not None):
            raise ValueError("a failed result has no validity: leave out valid_until and interval_months")
        if not failed and self.kind is not Kind.TEST and self.valid_until is None and self.interval_months is None:
            raise ValueError("a pass needs valid_until as printed, or interval_months where nothing is printed")
        if self.valid_until is not None and self.valid_until < self.performed_on:
            raise ValueError(f"valid_until {self.valid_until} is before performed_on {self.performed_on}")
        if self.uncertainty is not None and (self.k is None or not self.uncertainty_unit):
            raise ValueError("an uncertainty needs its k and its uncertainty_unit")
        if self.supersedes == self.id:
            raise ValueError("a certificate cannot supersede itself")
        return self


class CertificateFile(Model):
    """A TOML file with one or more certificates."""

    schema_version: Literal[1] = Field(alias="schema")
    certificates: tuple[Certificate, ...] = ()

    @model_validator(mode="after")
    def _has_one(self) -> CertificateFile:
        if not self.certificates:
            raise ValueError("no [[certificates]] table in the file")
        return self


def parse_certificates(text: str, file: str) -> tuple[Certificate, ...]:
    """Certificates of a TOML text (``schema = 1`` and one ``[[certificates]]`` table each).

    Raises
    ------
    InputErrors
        All problems; each names file, line, field, what was seen and what is expected.
    """
    return validate(parse_toml(text, file), CertificateFile).certificates


def doubts(certificate: Certificate, instruments: Iterable[Instrument]) -> tuple[str, ...]:
    """Why a certificate may not do what it was entered for; empty where nothing speaks against it.

    A certificate with a doubt is kept and logged all the same: it is evidence of what was handed in.
    """
    named = {instrument.id: instrument for instrument in instruments}
    instrument = named.get(certificate.instrument)
    subject = f"certificate {certificate.id}"
    if instrument is None:
        return (f"{subject}: no instrument {certificate.instrument!r} in the plan, so it supports none",)
    found: list[str] = []
    if instrument.serial != certificate.serial:
        found.append(
            f"{subject}: it is for serial {certificate.serial!r}, but instrument {instrument.id} has serial"
            f" {instrument.serial!r}; it does not count for this instrument"
        )
    if not supports(certificate.kind, instrument.regime) and certificate.result is Result.PASS:
        found.append(
            f"{subject}: a {certificate.kind.value} gives no validity to instrument {instrument.id}, whose regime is"
            f" {instrument.regime.value}"
        )
    if FORCE[certificate.kind].gives_uncertainty and certificate.uncertainty is None:
        found.append(f"{subject}: a {certificate.kind.value} without uncertainty and k gives no validity")
    if not certificate.document_sha256:
        found.append(f"{subject}: no document_sha256, so the document itself is not evidence yet")
    return tuple(found)


_FIELDS = (
    "id", "instrument", "serial", "kind", "number", "laboratory", "regulation", "performed_on", "valid_until",
    "interval_months", "result", "class", "uncertainty", "uncertainty_unit", "k", "document_sha256", "supersedes",
    "note",
)  # fmt: skip
"""Key n + 2 of the canonical map is field n; key 1 is the version. Append only."""


def encode_certificate(certificate: Certificate) -> bytes:
    """Canonical bytes: a deterministic CBOR map; the digest in the log's leaf is SHA-256 of these.

    Dates are ISO text, decimals their text as written, and what is absent or empty is left out.
    """
    dumped = certificate.model_dump(mode="json", by_alias=True)
    fields = {n + 2: dumped[name] for n, name in enumerate(_FIELDS) if dumped[name] not in (None, "")}
    return encode({1: VERSION, **fields})


def decode_certificate(data: bytes) -> Certificate:
    """Read canonical bytes back.

    Raises
    ------
    CertificateError
        They are not a certificate of a known version in canonical form.
    """
    try:
        fields = decode(data)
    except WireError as error:
        raise CertificateError("certificate", f"unreadable bytes: {error}", "export it again") from error
    if not isinstance(fields, dict) or fields.get(1) != VERSION:
        raise CertificateError("certificate", "no map of version 1", "read it with the program that wrote it")
    names = {n + 2: name for n, name in enumerate(_FIELDS)}
    unknown = sorted(str(key) for key in fields if key != 1 and key not in names)
    if unknown:
        raise CertificateError("certificate", f"unknown key {', '.join(unknown)}", "read it with a newer program")
    try:
        certificate = Certificate.model_validate({names[key]: value for key, value in fields.items() if key != 1})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"])
        raise CertificateError("certificate", f"{place}: {first['msg']}", "export it again") from error
    if encode_certificate(certificate) != data:
        raise CertificateError("certificate", "bytes are not in canonical form", "export it again")
    return certificate
