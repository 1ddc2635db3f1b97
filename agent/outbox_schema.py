"""The outbox's tables. Tables and columns may be added; what is there is never changed without a new format."""

FORMAT = 1

SCHEMA = (
    """create table if not exists plans (digest blob primary key, document blob not null) strict""",
    """create table if not exists journal (
        id integer primary key, edge_ms integer not null, entry blob not null
    ) strict""",
    """create table if not exists items (
        sequence integer primary key, kind text not null, data blob not null, digest blob not null,
        from_ms integer not null, to_ms integer not null, acked_ms integer
    ) strict""",
    """create table if not exists buried (
        stone integer primary key, first integer not null, last integer not null
    ) strict""",
    """create table if not exists salvaged (
        id integer primary key, stream_id blob not null, sequence integer not null, kind text not null,
        data blob not null, digest blob not null, from_ms integer not null, to_ms integer not null, acked_ms integer,
        unique (stream_id, sequence)
    ) strict""",
    """create table if not exists rescued (name text primary key) strict""",
    """create index if not exists items_waiting on items (sequence) where acked_ms is null""",
    """create table if not exists set_aside (
        id integer primary key, sequence integer not null, from_ms integer not null, to_ms integer not null,
        reason text not null, results integer not null, entry blob not null
    ) strict""",
    """create table if not exists held_checkpoint (
        id integer primary key check (id = 1), key blob not null, note blob not null, checked_ms integer not null
    ) strict""",
    """create table if not exists log_alarms (
        id integer primary key, at_ms integer not null, reason text not null, held blob not null, seen blob not null,
        key blob not null, proof blob not null
    ) strict""",
    """create table if not exists log_successions (
        id integer primary key, at_ms integer not null, unproven integer not null, held blob not null,
        seen blob not null, record blob not null
    ) strict""",
    """create table if not exists state (
        id integer primary key check (id = 1), stream_id blob not null, sequence integer not null,
        previous blob not null, span_end_ms integer not null, plan blob not null, fold blob not null,
        boot_id blob not null, offset_ms integer not null, clock_state integer not null,
        uncertainty_ms integer not null, clean integer not null
    ) strict""",
)

ADDED = (("state", "findings", "text not null default ''"),)
"""Table, column and type of what outboxes of before do not have."""
