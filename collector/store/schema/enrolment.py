"""How agents come and go: one-time tokens, what came in with them, and the end of an agent's service."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from collector.store.schema.base import Serial, metadata

enrolment_tokens = Table(
    "enrolment_tokens", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256; the token itself is kept nowhere
    Column("name", Text, nullable=False),  # of the agent to come
    Column("facility", String(64), nullable=False),
    Column("replaces", String(64), ForeignKey("agents.agent_id")),
    Column("made_by", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("withdrawn_ms", BigInteger),
    sqlite_autoincrement=True,
)  # fmt: skip

enrolments = Table(
    "enrolments", metadata,
    Column("token", BigInteger, ForeignKey("enrolment_tokens.id"), primary_key=True, autoincrement=False),
    Column("agent_id", String(64), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("account", Text, nullable=False),  # hash of the agent's broker password, as mosquitto takes it
    Column("nonce", LargeBinary, nullable=False),  # drawn here after the key was here: no code can be sought for
    Column("software", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("decision", String(16)),  # confirmed, refused; none while it waits
    Column("decided_by", String(64)),
    Column("decided_ms", BigInteger),
    Index("enrolments_agent", "agent_id"),
)  # fmt: skip

agent_endings = Table(
    "agent_endings", metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # of its leaf: what is logged later is late
    Column("agent_id", String(64), ForeignKey("agents.agent_id"), nullable=False),
    Column("ending", String(16), nullable=False),  # revoked, retired
    Column("reason", Text, nullable=False),
    Column("by", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),  # all of the above but the position; its SHA-256 is in the log
    Index("agent_endings_agent", "agent_id"),
)  # fmt: skip

agent_keys = Table(  # what replaced an agent's first key, one after the other
    "agent_keys", metadata,
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),  # of the item that says so
    Column("agent_id", String(64), ForeignKey("agents.agent_id"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("stream_id", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("known_ms", BigInteger, nullable=False),
    Index("agent_keys_agent", "agent_id"),
)  # fmt: skip
