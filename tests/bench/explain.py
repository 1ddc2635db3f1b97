"""From a year's figure to signed words: the last hour of a year's books made of real signed batches, and its trail."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, update

from collector.api.trails import trail
from collector.books import Books
from collector.hours.calendar import By, span_of
from collector.hours.cells import HOUR_MS
from collector.store.knowledge import known_now
from collector.store.plans import newest_plan, site_zone
from collector.store.rows import window_row
from collector.store.schema import items, windows
from collector.store.trail import Trail, read_trail
from protocols.plan.bound import BoundPlan
from protocols.quantities import Kind
from protocols.records import Batch, Clock, ClockState, Fate, ReadRequest
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.wire.codec import item_digest, seal_item
from protocols.wire.keys import fingerprint, public_bytes
from tests.bench.year import KEY, MINUTE_MS, STREAM
from tests.plans import float_words, sample

AGENT = fingerprint(public_bytes(KEY))


def sign_last_hour(books: Books, end_ms: int) -> None:
    """Put real signed batches, a minute each, in the place of those that fill the hour before ``end_ms``."""
    with books.database.reading() as connection:
        plan = newest_plan(connection, books.plans, AGENT)
    assert plan is not None
    start_ms, state = end_ms - HOUR_MS, initial_state(plan, end_ms - HOUR_MS)

    def answer(request: ReadRequest, _slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        return 7, {plan.points[point].id: _word(plan, point, due_ms - start_ms) for point in request.points}

    with books.database.writing() as connection:
        connection.execute(delete(windows).where(windows.c.from_ms >= start_ms))
        for at_ms in range(start_ms, end_ms, MINUTE_MS):
            place = (items.c.agent_id == AGENT, items.c.from_ms == at_ms)
            row = connection.execute(select(items.c.id, items.c.sequence).where(*place)).one()
            samples = sample(plan, at_ms, at_ms + MINUTE_MS, answer)
            folded = fold(plan, state, samples, (), at_ms, at_ms + MINUTE_MS)
            batch = Batch(
                STREAM, row.sequence, bytes(32), plan.digest, at_ms, at_ms + MINUTE_MS,
                Clock(b"\x01" * 16, start_ms, ClockState.SYNCED, 5), "bench", state, samples, folded.derived_events,
                folded.windows, folded.slots,
            )  # fmt: skip
            state, data = folded.state, seal_item(batch, KEY)
            connection.execute(update(items).where(*place).values(bytes=data, digest=item_digest(data)))
            if batch.windows:
                connection.execute(insert(windows), [window_row(AGENT, row.id, batch, w) for w in batch.windows])


def year_to_words(books: Books, end_ms: int, source: str, gas: str) -> Trail:
    """The trail of the year's figure by way of the hour before ``end_ms``, shaped as the API sends it."""
    with books.database.reading() as connection:
        zone = site_zone(connection, books.plans)
        year, at_ms = span_of(end_ms - 1, By.YEAR, zone), end_ms - HOUR_MS // 2
        found = read_trail(connection, books.plans, AGENT, source, gas, year, at_ms)
        trail(found, known_now(connection))
    return found


def _word(plan: BoundPlan, point: int, since_ms: int) -> int:
    """Something that grows for a counter, something steady for an instant."""
    one = plan.points[point]
    value = 1000.0 + since_ms / HOUR_MS if one.kind is Kind.COUNTER else 1.0
    return float_words(value) if one.register.type == "float32" else int(value)
