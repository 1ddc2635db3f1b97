from __future__ import annotations

from agent.outflow import Outflow


def test_oldest_first_and_never_more_than_the_window() -> None:
    """Only the oldest items without an acknowledgement go out."""
    outflow = Outflow(window=3)

    assert [4, 5, 6] == outflow.due([4, 5, 6, 7, 8], 0.0)


def test_what_is_published_waits_for_the_collector() -> None:
    """No item goes out twice before its wait is over, and the waits grow up to a bound."""
    outflow = Outflow(window=3, again_first_s=30)
    now_s, waits = 0.0, []
    for _ in range(8):
        assert [1] == outflow.due([1], now_s)
        outflow.published(1, now_s)
        assert [] == outflow.due([1], now_s)
        wait_s = outflow.next_s(now_s)
        assert [] == outflow.due([1], now_s + wait_s - 0.1)
        now_s += wait_s
        waits.append(wait_s)

    assert [30, 60, 120, 240, 480, 600, 600, 600] == waits


def test_an_acknowledgement_moves_the_window_on() -> None:
    """What is acknowledged makes room for the next."""
    outflow = Outflow(window=2)
    for sequence in outflow.due([1, 2, 3], 0.0):
        outflow.published(sequence, 0.0)

    assert [3] == outflow.due([2, 3], 1.0)


def test_a_new_session_publishes_all_that_waits_again() -> None:
    """The broker may have lost what it had acknowledged."""
    outflow = Outflow()
    outflow.published(1, 0.0)
    outflow.reset()

    assert [1] == outflow.due([1], 1.0)


def test_what_is_asked_for_goes_out_though_acknowledged() -> None:
    """A resend request does not depend on what was acknowledged before; it is served once."""
    outflow = Outflow()
    outflow.ask([7, 8])

    assert [7, 8, 9] == outflow.due([9], 0.0)
    assert 0.0 == outflow.next_s(0.0)

    outflow.published(7, 0.0)
    outflow.missing(8)

    assert [9] == outflow.due([9], 0.0)


def test_it_knows_when_all_is_with_the_broker() -> None:
    """The end of a clean stop waits for this."""
    outflow = Outflow(window=2)

    assert not outflow.all_published([1])

    outflow.published(1, 0.0)

    assert outflow.all_published([1])
    assert outflow.all_published([])
