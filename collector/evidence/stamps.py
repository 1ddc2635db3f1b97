"""Time stamps of checkpoints (RFC 3161): somebody else's signed word that a checkpoint existed by a moment.

What is stamped is SHA-512 of the signed note. The library that reads and checks them (rfc3161-client) is an extra,
``timestamps``; everything else works without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from cryptography import x509

from protocols.errors import EmitraceError

MOST_BYTES = 64 * 1024
REQUEST_TYPE, REPLY_TYPE = "application/timestamp-query", "application/timestamp-reply"
_GRANTED = 0
_SHA512 = "2.16.840.1.101.3.4.2.3"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEEDED = "pip install 'emitrace[timestamps]'"


class StampError(EmitraceError):
    """A time stamp that is none, or not of this checkpoint, or not signed as it should be."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request to an authority, DER, and the number that its answer must repeat."""

    data: bytes
    nonce: int


def is_available() -> bool:
    """Whether the library is installed."""
    return find_spec("rfc3161_client") is not None


def query_for(note: bytes) -> Query:
    """The request for a stamp of a checkpoint's signed note, with the authority's certificate."""
    client = _library()
    made = client.TimestampRequestBuilder().data(note).build()
    return Query(bytes(made.as_bytes()), int(made.nonce))


def read_stamp(reply: bytes, note: bytes, nonce: int | None = None) -> int:
    """When an authority says that it saw this note, its signature not checked. [UTC ms]

    Raises
    ------
    StampError
        No granted stamp, of something else, or not the answer to the request with that nonce.
    """
    return _time(_decoded(reply, note, nonce))


def check_stamp(reply: bytes, note: bytes, roots: Sequence[x509.Certificate]) -> int:
    """The same, signed by an authority whose certificate leads to one of these roots. [UTC ms]"""
    client, stamp = _library(), _decoded(reply, note, None)
    builder = client.VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:  # certificates in the stamp only link to a root: to name one of them here would be to trust it
        builder.build().verify(stamp, hashlib.sha512(note).digest())
    except (client.VerificationError, ValueError, TypeError) as error:
        raise StampError("time stamp", f"is not signed under the root you trust: {error}") from error
    return _time(stamp)


def read_roots(data: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM file; StampError where there are none."""
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise StampError("root certificate", str(error), "Name a file of certificates in PEM.") from error
    return found


def _decoded(reply: bytes, note: bytes, nonce: int | None) -> Any:
    client = _library()
    if len(reply) > MOST_BYTES:
        raise StampError("time stamp", f"{len(reply)} bytes, at most {MOST_BYTES} are read")
    try:
        stamp = client.decode_timestamp_response(reply)
        if stamp.status != _GRANTED:
            raise StampError("time stamp", f"refused, status {stamp.status}: {'; '.join(stamp.status_string)[:200]}")
        told = stamp.tst_info
        imprint, seen = told.message_imprint, told.nonce
        algorithm, digest = imprint.hash_algorithm.dotted_string, bytes(imprint.message)
    except (ValueError, TypeError) as error:
        raise StampError("time stamp", f"cannot be read: {error}") from error
    if algorithm != _SHA512 or digest != hashlib.sha512(note).digest():
        raise StampError("time stamp", "is of something else than this checkpoint")
    if nonce is not None and seen != nonce:
        raise StampError("time stamp", "answers another request")
    return stamp


def _time(stamp: Any) -> int:
    made: datetime = stamp.tst_info.gen_time
    return int((made - _EPOCH).total_seconds() * 1000)


def _library() -> Any:
    if not is_available():
        raise StampError("time stamp", "cannot be read without the library for it", NEEDED)
    import rfc3161_client

    return rfc3161_client
