"""Who looks at which site, what its agents show, and the watch that makes them show it.

Agents are watched only while somebody looks: a watch holds for a minute and is renewed every half minute, for all
lookers at once. What an agent shows goes to every looker as *the newest per point*: a slow one misses values between,
never the newest, and nothing is queued. Live messages are unsigned; one that does not fit is counted and passed over.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from collector.books import Books
from collector.clock import now_ms
from collector.live.latest import Latest
from collector.live.point import AgentNow, Shown, follow, slots_of
from collector.log import line
from protocols.messages import Watch
from protocols.wire import limits, topics
from protocols.wire.codec import read_live, seal_watch
from protocols.wire.errors import Reason, WireError

RENEW_S = 30.0
"""A watch holds ``limits.WATCH_S``; renewed this often, one that is lost on its way does no harm. [s]"""
MOST_LOOKERS = 200
MOST_OF_A_USER = 8

Publish = Callable[[str, bytes], None]

log = logging.getLogger(__name__)


class TooManyError(Exception):
    """No further looker is let in; ``of_user`` says whose bound it is."""

    def __init__(self, *, of_user: bool) -> None:
        super().__init__("too many live pages are open")
        self.of_user = of_user


@dataclass(eq=False, slots=True)
class Looker:
    """One open page; ``changed`` are the points, by agent, that it has not been told of."""

    site: str
    user: str
    loop: asyncio.AbstractEventLoop
    news: asyncio.Event = field(default_factory=asyncio.Event)
    changed: set[tuple[str, int]] = field(default_factory=set)


@dataclass(slots=True)
class _Site:
    """A site that somebody looks at."""

    lookers: set[Looker] = field(default_factory=set)
    agents: dict[str, AgentNow] = field(default_factory=dict)
    points: dict[str, dict[int, Shown]] = field(default_factory=dict)
    renewed_s: float = float("-inf")
    told: set[tuple[str, str]] = field(default_factory=set)


class Hub:
    """Thread-safe: ``take`` is called by the broker's thread, the rest by the pages.

    Parameters
    ----------
    publish : callable
        Publishes a payload on a topic, or does nothing while the broker is away.
    """

    def __init__(self, books: Books, publish: Publish) -> None:
        self.latest = Latest(books.plans)
        self.taken = 0
        self.refused: Counter[str] = Counter()
        self._books = books
        self._publish = publish
        self._sites: dict[str, _Site] = {}
        self._issued_ms = 0
        self._closed = False
        self._lock = threading.RLock()
        self._renewing = threading.Lock()

    def is_closed(self) -> bool:
        """Whether the service is ending."""
        return self._closed

    @property
    def lookers(self) -> int:
        """How many pages look now."""
        with self._lock:
            return sum(len(site.lookers) for site in self._sites.values())

    def close(self) -> None:
        """Let every looker end at once."""
        with self._lock:
            self._closed = True
            for site in self._sites.values():
                for looker in site.lookers:
                    _wake(looker)

    @contextmanager
    def look(self, site: str, user: str) -> Iterator[Looker]:
        """Look at a site while inside; TooManyError beyond the bounds. Call from an event loop."""
        looker = Looker(site, user, asyncio.get_running_loop())
        with self._lock:
            everyone = [one for known in self._sites.values() for one in known.lookers]
            if sum(one.user == user for one in everyone) >= MOST_OF_A_USER:
                raise TooManyError(of_user=True)
            if len(everyone) >= MOST_LOOKERS:
                raise TooManyError(of_user=False)
            self._sites.setdefault(site, _Site()).lookers.add(looker)
        try:
            yield looker
        finally:
            with self._lock:
                left = self._sites[site].lookers
                left.discard(looker)
                if not left:
                    del self._sites[site]

    def is_due(self, site: str) -> bool:
        """Whether the watch on a site that is looked at should be renewed now."""
        with self._lock:
            known = self._sites.get(site)
            return known is not None and time.monotonic() - known.renewed_s >= RENEW_S

    def renew(self, site: str) -> None:
        """Read the newest batches of a site and watch its agents for another minute. Reads the database."""
        with self._renewing:
            if not self.is_due(site):
                return
            with self._books.database.reading() as connection:
                found = self.latest.of_site(connection, site)
            with self._lock:
                known = self._sites.get(site)
                if known is None:
                    return
                known.renewed_s = time.monotonic()
                for agent in found:
                    self._meet(known, agent)
                for gone in known.agents.keys() - {agent.agent_id for agent in found}:
                    del known.agents[gone], known.points[gone]
                issued_ms = self._issued_ms = max(now_ms(), self._issued_ms + 1)
            for agent in found:
                self._watch(agent, issued_ms)

    def agents(self, site: str) -> tuple[AgentNow, ...]:
        """What is known of a site now; reads its newest batches where nobody looks at it."""
        with self._lock:
            known = self._sites.get(site)
            if known is not None and known.renewed_s > float("-inf"):
                return tuple(
                    replace(agent, points=dict(known.points[agent.agent_id])) for agent in known.agents.values()
                )
        with self._books.database.reading() as connection:
            return self.latest.of_site(connection, site)

    def changes(self, looker: Looker) -> dict[str, dict[int, Shown]]:
        """The newest of the points that have changed since this looker was last told, by agent."""
        with self._lock:
            looker.news.clear()
            known, changed = self._sites[looker.site], looker.changed
            looker.changed = set()
            told: dict[str, dict[int, Shown]] = {}
            for agent_id, point in sorted(changed):
                shown = known.points.get(agent_id, {}).get(point)
                if shown is not None:
                    told.setdefault(agent_id, {})[point] = shown
            return told

    def agent(self, site: str, agent_id: str) -> AgentNow | None:
        """An agent of a site that is looked at."""
        with self._lock:
            known = self._sites.get(site)
            return None if known is None else known.agents.get(agent_id)

    def take(self, topic: str, payload: bytes) -> None:
        """Take a live message; what does not fit is counted under its reason and passed over."""
        at_ms = now_ms()
        try:
            agent_id = topics.parse_live(topic)
        except WireError as error:
            self.refused[error.reason.value] += 1
            return
        with self._lock:
            for known in self._sites.values():
                agent = known.agents.get(agent_id)
                if agent is None:
                    continue
                try:
                    self._show(known, agent, payload, at_ms)
                except WireError as error:
                    self._refuse(known, agent, error)

    def _show(self, known: _Site, agent: AgentNow, payload: bytes, at_ms: int) -> None:
        live = read_live(payload)
        if live.plan != agent.plan.digest:
            raise WireError(Reason.PLAN_UNKNOWN, "live", f"plan {live.plan.hex()[:12]}, not the one its batches name")
        if live.stream_id != agent.stream_id:
            raise WireError(Reason.STREAM_UNKNOWN, "live", f"stream {live.stream_id.hex()[:8]}")
        try:
            slots = slots_of(agent.plan, live)
        except ValueError as error:
            raise WireError(Reason.SCHEMA, "live", str(error)) from error
        self.taken += 1
        points, changed = known.points[agent.agent_id], set[tuple[str, int]]()
        for index, slot in slots.items():
            shown = follow(points.get(index), slot, live=True, behind_ms=at_ms - live.at_ms)
            if shown is not None:
                points[index] = shown
                changed.add((agent.agent_id, index))
        self._tell(known, changed)

    def _meet(self, known: _Site, agent: AgentNow) -> None:
        """Take over what an agent's newest batch says; what it showed under another plan or stream is forgotten."""
        before = known.agents.get(agent.agent_id)
        same = before is not None and (before.plan.digest, before.stream_id) == (agent.plan.digest, agent.stream_id)
        known.agents[agent.agent_id] = agent
        if not same:
            known.points[agent.agent_id] = {}
        points = known.points[agent.agent_id]
        fresh = {index: shown for index, shown in agent.points.items() if _is_news(points.get(index), shown)}
        points.update(fresh)
        self._tell(known, {(agent.agent_id, index) for index in fresh})

    def _watch(self, agent: AgentNow, issued_ms: int) -> None:
        points = tuple(range(min(len(agent.plan.points), limits.LIVE_POINTS)))
        watch = Watch(agent.stream_id, agent.plan.digest, issued_ms, limits.WATCH_S, points)
        self._publish(topics.watch(agent.agent_id), seal_watch(watch, self._books.key))

    def _tell(self, known: _Site, changed: set[tuple[str, int]]) -> None:
        if changed:
            for looker in known.lookers:
                looker.changed |= changed
                _wake(looker)

    def _refuse(self, known: _Site, agent: AgentNow, error: WireError) -> None:
        self.refused[error.reason.value] += 1
        if (agent.agent_id, error.reason.value) not in known.told:
            known.told.add((agent.agent_id, error.reason.value))
            log.warning(line("live-refused", agent=agent.agent_id[:12], reason=error.reason.value, seen=error))


def _is_news(before: Shown | None, shown: Shown) -> bool:
    return before is None or shown.newest.due_ms > before.newest.due_ms


def _wake(looker: Looker) -> None:
    with suppress(RuntimeError):  # its loop has ended, and it with it
        looker.loop.call_soon_threadsafe(looker.news.set)
