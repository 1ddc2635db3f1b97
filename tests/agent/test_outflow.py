from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from agent.outflow import BURST_S, SPREAD_S, Outflow


@dataclass
class Session:
    """An agent with items waiting and a collector that acknowledges after a while, in virtual time."""

    outflow: Outflow
    waiting: list[int]
    ack_s: float | None
    now_s: float = 0.0
    sent: list[tuple[float, int]] = field(default_factory=list)
    under_way: dict[int, float] = field(default_factory=dict)
    most: int = 0

    def run(self, until_s: float, every_s: float | None = None) -> Session:
        """Publish what is due until an instant; a new item is sealed now and then."""
        sealed_s = self.now_s + (every_s or 1e9)
        while self.now_s < until_s:
            due = self.outflow.due(self.waiting[: self.outflow.window], self.waiting[-self.outflow.live :], self.now_s)
            for item in due:
                self.outflow.published(item, self.now_s)
                self.sent.append((self.now_s, item))
                self.under_way.setdefault(item, self.now_s)
            self.most = max(self.most, len(self.under_way))
            self.now_s = min(self.now_s + max(self.outflow.next_s(self.now_s), 0.01), sealed_s, self._acked_s())
            for item in [one for one, at_s in self.under_way.items() if at_s + (self.ack_s or 1e9) <= self.now_s]:
                del self.under_way[item]
                self.waiting.remove(item)
            if self.now_s >= sealed_s:
                sealed_s += every_s or 1e9
                self.waiting.append(max([*self.waiting, *(item for _, item in self.sent)]) + 1)
        return self

    def _acked_s(self) -> float:
        return min((at_s + (self.ack_s or 1e9) for at_s in self.under_way.values()), default=1e9)


def test_the_newest_go_at_once_and_the_backlog_follows_oldest_first() -> None:
    """Days behind: the newest batches first, then the rest in the stream's order at the rate that was set."""
    session = Session(Outflow(backlog_per_s=20, chance=Random(1)), list(range(3_000)), ack_s=0.2)
    session.run(300)
    backlog = session.sent[8:]

    assert list(range(2_992, 3_000)) == [item for _, item in session.sent[:8]]
    assert {0.0} == {at_s for at_s, _ in session.sent[:8]}
    assert list(range(2_992)) == [item for _, item in backlog]
    assert 0 < backlog[0][0] <= SPREAD_S
    assert 20 == pytest.approx(len(backlog) / (backlog[-1][0] - backlog[0][0]), rel=0.02)


def test_what_is_sealed_meanwhile_overtakes_the_backlog() -> None:
    """Every new batch leaves the moment it is there, however much is still behind."""
    session = Session(Outflow(backlog_per_s=5, chance=Random(2)), list(range(3_000)), ack_s=0.2).run(300, every_s=10)
    fresh = [(at_s, item) for at_s, item in session.sent if item >= 3_000]

    assert 29 == len(fresh)
    assert [10.0 * (item - 2_999) for _, item in fresh] == pytest.approx([at_s for at_s, _ in fresh])
    assert len(session.waiting) > 1_000


def test_a_fleet_that_returns_together_comes_one_after_another() -> None:
    """Of 200 agents with a day behind them, no second of the first minute sees more than twice its share."""
    starts = []
    for seed in range(200):
        outflow = Outflow(again_first_s=1_000, chance=Random(seed))
        for item in outflow.due(list(range(32)), list(range(1_432, 1_440)), 0.0):
            outflow.published(item, 0.0)
        starts.append(outflow.next_s(0.0))
    seconds = [sum(int(at_s) == second for at_s in starts) for second in range(60)]

    assert max(seconds) <= 10
    assert sum(second > 0 for second in seconds) > 50


def test_a_short_backlog_does_not_wait_a_minute() -> None:
    """The random wait is no longer than what the backlog itself takes."""
    session = Session(Outflow(backlog_per_s=20), list(range(48)), ack_s=0.1).run(10)

    assert [] == session.waiting
    assert session.sent[-1][0] <= 2 * 40 / 20 + 1


def test_an_absent_collector_does_not_fill_the_broker() -> None:
    """However long it stays away and however much is sealed, both windows bound what is under way."""
    session = Session(Outflow(window=32, live=8, chance=Random(3)), list(range(1_000)), ack_s=None)
    session.run(3_000, every_s=10)

    assert 40 == session.most == len({item for _, item in session.sent})


def test_after_a_wait_the_backlog_makes_up_a_second_at_most() -> None:
    """A window that was full for long is no reason for a burst."""
    outflow = Outflow(window=100, backlog_per_s=20, live=1, chance=Random(4))
    outflow.due(list(range(100)), [500], 0.0)

    assert len(outflow.due(list(range(100)), [500], 1_000.0)) <= 2 * 20 * BURST_S + 2


def test_what_is_published_waits_for_the_collector() -> None:
    """No item goes out twice before its wait is over, and the waits grow up to a bound."""
    outflow = Outflow(window=3, again_first_s=30)
    now_s, waits = 0.0, []
    for _ in range(8):
        assert [1] == outflow.due([1], [1], now_s)
        outflow.published(1, now_s)
        assert [] == outflow.due([1], [1], now_s)
        wait_s = outflow.next_s(now_s)
        assert [] == outflow.due([1], [1], now_s + wait_s - 0.1)
        now_s += wait_s
        waits.append(wait_s)

    assert [30, 60, 120, 240, 480, 600, 600, 600] == waits


def test_a_new_session_publishes_all_that_waits_again() -> None:
    """The broker may have lost what it had acknowledged."""
    outflow = Outflow()
    outflow.published(1, 0.0)
    outflow.reset()

    assert [1] == outflow.due([1], [1], 1.0)


def test_what_is_asked_for_goes_out_though_acknowledged() -> None:
    """A resend request does not depend on what was acknowledged before; it is served once."""
    outflow = Outflow()
    outflow.ask([7, 8])

    assert [9, 7, 8] == outflow.due([9], [9], 0.0)
    assert 0.0 == outflow.next_s(0.0)

    outflow.published(7, 0.0)
    outflow.missing(8)

    assert [9] == outflow.due([9], [9], 0.0)


def test_a_request_does_not_let_the_backlog_jump_its_lane() -> None:
    """What is lacking and on its way is not sent twice; what went out long ago goes again at once."""
    outflow = Outflow(live=1, again_first_s=30, chance=Random(5))
    outflow.published(3, 0.0)
    outflow.published(3, 30.0)  # due again after a minute
    outflow.published(4, 69.0)
    outflow.due([3, 4, 5], [9], 69.0)
    outflow.ask_again(0, 5, 70.0)

    assert 3 in outflow.due([3, 4, 5], [9], 70.0)
    assert 4 not in outflow.due([3, 4, 5], [9], 70.0)


def test_it_knows_when_the_newest_are_with_the_broker() -> None:
    """The end of a clean stop waits for this, not for the backlog."""
    outflow = Outflow(live=2)

    assert not outflow.all_live_published([8, 9])

    for item in outflow.due([0, 1, 8, 9], [8, 9], 0.0):
        outflow.published(item, 0.0)

    assert outflow.all_live_published([8, 9])
    assert outflow.all_live_published([])
