"""Records of calibration and the files that prove them: both are only ever added to."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table

from collector.store.schema.base import metadata

calibration_records = Table(
    "calibration_records", metadata,
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),  # that of its leaf
    Column("id", String(128), nullable=False),  # of the event, instrument or chain; the newest of an id counts
    Column("about", String(128), nullable=False),  # the instrument of an event; else the id
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the bytes
    Column("bytes", LargeBinary, nullable=False),  # as of calibration.encoding
    Column("known_ms", BigInteger, nullable=False),
    Column("by", String(64), nullable=False),
    Index("calibration_records_id", "kind", "id"),
    Index("calibration_records_about", "kind", "about"),
)  # fmt: skip

evidence_files = Table(
    "evidence_files", metadata,
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("known_ms", BigInteger, nullable=False),
    Column("by", String(64), nullable=False),
)  # fmt: skip
