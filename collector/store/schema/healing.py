"""Books that are behind what was signed or acknowledged: that they are being healed, by what, and what stays lost."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from collector.store.schema.base import Serial, metadata

healings = Table(
    "healings", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("opened_ms", BigInteger, nullable=False),
    Column("cause", String(16), nullable=False),  # restored, anchor, checkpoint, acknowledged
    Column("kept", BigInteger, nullable=False),  # leaves of the log when it was opened
    Column("head_known", Boolean, nullable=False),  # whether the file beside the books said what was signed last
    Column("ended_ms", BigInteger),  # none while it goes on
    Column("ended_by", String(128)),
    Column("reason", Text),
    sqlite_autoincrement=True,
)  # fmt: skip

signed_heads = Table(  # heads that this log signed and does not lead to, by who showed them
    "signed_heads", metadata,
    Column("healing", BigInteger, ForeignKey("healings.id"), primary_key=True, autoincrement=False),
    Column("source", String(64), primary_key=True),  # an agent's id, or "anchor"
    Column("origin", String(128), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)  # fmt: skip

healing_reports = Table(  # what each agent said was acknowledged, since the healing began; its unsigned word
    "healing_reports", metadata,
    Column("healing", BigInteger, ForeignKey("healings.id"), primary_key=True, autoincrement=False),
    Column("agent_id", String(64), ForeignKey("agents.agent_id"), primary_key=True),
    Column("stream_id", LargeBinary, nullable=False),
    Column("head", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)  # fmt: skip

losses = Table(  # ranges of streams that nobody holds any more
    "losses", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("agent_id", String(64), nullable=False),
    Column("stream_id", LargeBinary, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # of its leaf
    Column("record", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("agent_id", "stream_id", "first", "last", name="losses_range"),
    Index("losses_stream", "agent_id", "stream_id", "last"),
    sqlite_autoincrement=True,
)  # fmt: skip
