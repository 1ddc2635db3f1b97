"""Looking at a site: watches go out, live messages come in, every looker gets the newest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client import generate_latest

from collector.books import Books
from collector.clock import now_ms
from collector.live import events as events_module
from collector.live import hub as hub_module
from collector.live.events import events
from collector.live.hub import MOST_LOOKERS, MOST_OF_A_USER, Hub, TooManyError
from collector.live.point import text_of
from collector.metrics import Metrics
from protocols.messages import Ack, Live, LiveReading, Watch
from protocols.records import Clock, ClockState, Fate
from protocols.wire import limits, topics
from protocols.wire.codec import encode_live, read_watch
from tests.collector.edge import Edge, stream
from tests.plans import float_words

SITE = "org/site"


@dataclass
class Rig:
    """A hub over books with one agent, which shows what it is told to."""

    books: Books
    edge: Edge
    hub: Hub = field(init=False)
    sent: list[tuple[str, Watch]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hub = Hub(self.books, self.publish)
        self.index = {point.id: index for index, point in enumerate(self.edge.plan.points)}
        self.topic = topics.live(self.edge.agent_id)

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, read_watch(payload, self.books.public_key)))

    def live(self, name: str, word: int | None, *, at_ms: int | None = None, ago_ms: int = 400) -> Live:
        """A live message about one point; a word of None is a timeout."""
        at_ms = at_ms or now_ms()
        fate, words = (int(Fate.TIMEOUT), ()) if word is None else (int(Fate.GOOD), (word,))
        reading = LiveReading(at_ms - ago_ms, 30, fate, (self.index[name],), words)
        clock = Clock(bytes(16), 0, ClockState.SYNCED, 1)
        return Live(self.edge.stream_id, self.edge.plan.digest, clock, at_ms, (reading,))

    def show(self, name: str, word: int | None, **when: int) -> None:
        self.hub.take(self.topic, encode_live(self.live(name, word, **when)))

    def value(self, name: str) -> str | None:
        (agent,) = self.hub.agents(SITE)
        value = agent.points[self.index[name]].newest.value
        return None if value is None else text_of(value)


@pytest.fixture
def rig(books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]) -> Iterator[Rig]:
    edge = stream(1)
    register(edge)
    ingest(edge, 0, 1)
    found = Rig(books, edge)
    yield found
    found.hub.close()


async def test_agents_are_watched_only_while_somebody_looks(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One watch for all lookers, on every point, renewed after its time with a later issue; none without a looker."""
    rig.hub.renew(SITE)
    assert [] == rig.sent
    with rig.hub.look(SITE, "ann"), rig.hub.look(SITE, "ben"):
        for _ in range(3):
            rig.hub.renew(SITE)
        ((topic, watch),) = rig.sent
        monkeypatch.setattr(hub_module, "RENEW_S", 0.0)
        rig.hub.renew(SITE)
    rig.hub.renew(SITE)

    assert topics.watch(rig.edge.agent_id) == topic
    assert (rig.edge.stream_id, rig.edge.plan.digest) == (watch.stream_id, watch.plan)
    assert (limits.WATCH_S, tuple(range(len(rig.edge.plan.points)))) == (watch.for_s, watch.points)
    assert 2 == len(rig.sent)
    assert watch.issued_ms < rig.sent[1][1].issued_ms


async def test_the_newest_value_is_shown_whatever_the_order(rig: Rig) -> None:
    """A live value replaces the committed one; an older one that comes late does not come back."""
    committed = rig.value("stack-1.flow")
    with rig.hub.look(SITE, "ann") as looker:
        rig.hub.renew(SITE)
        rig.hub.changes(looker)
        rig.show("stack-1.flow", float_words(777.5))
        rig.show("stack-1.flow", float_words(1.0), ago_ms=60_000)
        changed = rig.hub.changes(looker)
        newest = rig.value("stack-1.flow")
        rig.show("stack-1.flow", None, ago_ms=0)
        (agent,) = rig.hub.agents(SITE)
        shown = agent.points[rig.index["stack-1.flow"]]

    assert "12000" == committed == rig.value("stack-1.flow")
    assert "777.5" == newest
    assert {rig.edge.agent_id: [rig.index["stack-1.flow"]]} == {a: list(points) for a, points in changed.items()}
    assert (None, "M", int(Fate.TIMEOUT)) == (shown.newest.value, shown.newest.quality, shown.newest.fate)
    assert shown.last is not None
    assert "777.5" == text_of(shown.last.value or 0)  # type: ignore[arg-type]


async def test_ages_do_not_depend_on_the_agents_clock(rig: Rig) -> None:
    """An agent whose clock is an hour fast: its value of 0.4 s ago is 0.4 s old."""
    with rig.hub.look(SITE, "ann"):
        rig.hub.renew(SITE)
        fast_ms = now_ms() + 3_600_000
        rig.show("stack-1.flow", float_words(1.0), at_ms=fast_ms)
        (agent,) = rig.hub.agents(SITE)
        shown = agent.points[rig.index["stack-1.flow"]]

    assert 370 <= shown.age_ms(shown.newest, now_ms()) < 5_000


async def test_what_does_not_fit_is_counted_and_passed_over(rig: Rig) -> None:
    """Garbage, another plan, another stream, a point there is not: no value, nothing in the quarantine."""
    good = rig.live("stack-1.flow", float_words(5.0))
    no_point = replace(good.readings[0], points=(limits.POINTS - 1,))
    with rig.hub.look(SITE, "ann") as looker:
        rig.hub.renew(SITE)
        rig.hub.changes(looker)
        for bad in (b"", b"\xff" * 100, encode_live(replace(good, plan=b"x" * 32)),
                    encode_live(replace(good, stream_id=b"x" * 16)), encode_live(replace(good, readings=(no_point,)))):
            rig.hub.take(rig.topic, bad)  # fmt: skip
        rig.hub.take("emitrace/v1/+/live", encode_live(good))
        rig.hub.take(topics.live("0" * 64), encode_live(good))

        assert {} == rig.hub.changes(looker)
    assert {"malformed": 3, "plan-unknown": 1, "stream-unknown": 1, "schema": 1} == dict(rig.hub.refused)
    assert 0 == rig.hub.taken


async def test_a_scrape_shows_who_looks_and_what_was_taken(rig: Rig) -> None:
    """Open streams, messages shown and refused by reason, as a Prometheus server reads them."""
    metrics = Metrics(rig.books)
    metrics.show_live(rig.hub)
    with rig.hub.look(SITE, "ann"), rig.hub.look(SITE, "ben"):
        rig.hub.renew(SITE)
        rig.show("stack-1.flow", float_words(1.0))
        rig.hub.take(rig.topic, b"")
        during = generate_latest(metrics.registry).decode()
    after = generate_latest(metrics.registry).decode()

    assert [
        "live_streams 2.0", "live_messages_taken_total 1.0", 'live_messages_refused_total{reason="malformed"} 1.0',
    ] == [line.removeprefix("emitrace_collector_") for line in during.splitlines() if "collector_live_" in line[:30]]
    assert "emitrace_collector_live_streams 0.0" in after


async def test_lookers_are_bounded_per_user_and_in_all(rig: Rig) -> None:
    """One person's many tabs do not shut others out, and nobody wears the collector down."""
    with ExitStack() as open_pages:
        for _ in range(MOST_OF_A_USER):
            open_pages.enter_context(rig.hub.look(SITE, "ann"))
        with pytest.raises(TooManyError) as refused, rig.hub.look(SITE, "ann"):
            pass
        assert refused.value.of_user
        for number in range(MOST_LOOKERS - MOST_OF_A_USER):
            open_pages.enter_context(rig.hub.look(SITE, f"user {number}"))
        with pytest.raises(TooManyError) as refused, rig.hub.look(SITE, "ben"):
            pass
        assert not refused.value.of_user
    with rig.hub.look(SITE, "ann"):
        assert 1 == rig.hub.lookers
    assert 0 == rig.hub.lookers


def parsed(chunk: bytes) -> tuple[str, dict[str, Any]]:
    """Name and data of an event."""
    fields = dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines())
    return fields["event"], json.loads(fields["data"])


async def after_retry(stream_: AsyncGenerator[bytes, None]) -> tuple[str, dict[str, Any]]:
    assert b"retry: 3000\n\n" == await anext(stream_)
    return parsed(await anext(stream_))


async def test_events_tell_the_site_and_then_what_changes(rig: Rig) -> None:
    """First everything as committed, then each change with exact value, unit, quality and age."""
    with rig.hub.look(SITE, "ann") as looker:
        told = events(rig.hub, looker)
        name, site = await after_retry(told)
        rig.show("stack-1.flow", float_words(777.5))
        changed_name, changed = parsed(await anext(told))
        await told.aclose()
    flow = next(one for one in site["readings"] if one["point"] == "stack-1.flow")
    (now,) = changed["readings"]

    assert ("site", "values") == (name, changed_name)
    assert SITE == site["site"] == changed["site"]
    assert ["boiler house"] == [agent["name"] for agent in site["agents"]]
    assert len(rig.edge.plan.points) == len(site["readings"])
    assert ("12000", "m3/h", "G", "good", False) == tuple(flow[k] for k in ("value", "unit", "quality", "fate", "live"))
    assert ("777.5", True, None) == (now["value"], now["live"], now["last"])
    assert 370 <= now["age_ms"] < 5_000


async def test_a_slow_looker_gets_the_newest_and_no_queue(rig: Rig) -> None:
    """A hundred changes while a browser does not read are one event with the last value."""
    with rig.hub.look(SITE, "ann") as looker:
        told = events(rig.hub, looker)
        await after_retry(told)
        for number in range(100):
            rig.show("stack-1.flow", float_words(float(number)), at_ms=now_ms() + number, ago_ms=0)
        _, changed = parsed(await anext(told))
        waiting = asyncio.create_task(_drain(told))
        await asyncio.sleep(0.1)

        assert ["99"] == [one["value"] for one in changed["readings"]]
        assert not waiting.done()
        waiting.cancel()


async def test_a_silent_site_still_shows_that_the_line_lives(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without news a comment, which browsers pass over."""
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 0.05)
    with rig.hub.look(SITE, "ann") as looker:
        told = events(rig.hub, looker)
        await after_retry(told)

        assert (await anext(told)).startswith(b": ")


async def test_closing_ends_every_stream_at_once(rig: Rig) -> None:
    """The service ends: streams end by themselves, not by being cut."""
    with rig.hub.look(SITE, "ann") as looker:
        told = events(rig.hub, looker)
        await after_retry(told)
        rest = asyncio.create_task(_drain(told))
        await asyncio.sleep(0)
        rig.hub.close()
        async with asyncio.timeout(1):
            assert [] == await rest


async def _drain(told: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [chunk async for chunk in told]
