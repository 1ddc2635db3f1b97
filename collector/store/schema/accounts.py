"""Who may look at the books and work on them, and who is signed in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from collector.store.schema.base import Serial, metadata

users = Table(
    "users", metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),  # a one-time password, good for nothing but to choose another
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("signed_in_ms", BigInteger),
)  # fmt: skip

sessions = Table(
    "sessions", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("token_digest", LargeBinary, nullable=False, unique=True),
    Column("user", String(64), ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("browser", String(200), nullable=False),
    Index("sessions_user", "user"),
    sqlite_autoincrement=True,
)  # fmt: skip
