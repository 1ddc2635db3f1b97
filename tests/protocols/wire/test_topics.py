"""Topic names: built, parsed back, and nothing else accepted."""

from __future__ import annotations

import pytest

from protocols.records import ItemKind
from protocols.wire import topics
from protocols.wire.errors import WireError

AGENT = "0123456789abcdef" * 4


@pytest.mark.parametrize("kind", ItemKind)
def test_up_topics_come_back(kind: ItemKind) -> None:
    """Agent and kind are read from the topic that was built from them."""
    assert topics.UpTopic(AGENT, kind) == topics.parse_up(topics.up(AGENT, kind))


def test_names() -> None:
    """The names that brokers' access rules are written for."""
    assert f"emitrace/v1/{AGENT}/up/batch" == topics.up(AGENT, ItemKind.BATCH)
    assert f"emitrace/v1/{AGENT}/down/ack" == topics.ack(AGENT)
    assert f"emitrace/v1/{AGENT}/down/resend" == topics.resend(AGENT)
    assert f"emitrace/v1/{AGENT}/down/plan" == topics.plan_push(AGENT)
    assert f"emitrace/v1/{AGENT}/down/watch" == topics.watch(AGENT)
    assert f"emitrace/v1/{AGENT}/down/notice" == topics.notice(AGENT)
    assert f"emitrace/v1/{AGENT}/live" == topics.live(AGENT)
    assert f"emitrace/v1/{AGENT}/status" == topics.status(AGENT)
    assert "emitrace/v1/collector/key" == topics.COLLECTOR_KEY


def test_live_topics_come_back() -> None:
    """The agent is read from its live topic and from no other."""
    assert AGENT == topics.parse_live(topics.live(AGENT))
    for topic in (topics.status(AGENT), topics.watch(AGENT), f"emitrace/v1/{AGENT}0/live", "emitrace/v1/+/live"):
        with pytest.raises(WireError):
            topics.parse_live(topic)


@pytest.mark.parametrize(
    "topic", ["", "emitrace/v1", f"emitrace/v2/{AGENT}/up/batch", f"emitrace/v1/{AGENT.upper()}/up/batch",
              f"emitrace/v1/{AGENT}/up/ack", f"emitrace/v1/{AGENT}/up/batch\n", f"emitrace/v1/{AGENT}0/up/batch"]
)  # fmt: skip
def test_other_topics_are_refused(topic: str) -> None:
    """Nothing is guessed from a topic that is not one of ours."""
    with pytest.raises(WireError):
        topics.parse_up(topic)


def test_no_topic_is_built_for_a_wrong_agent_id() -> None:
    """Wildcards and separators never get into a topic."""
    with pytest.raises(ValueError, match="agent id"):
        topics.up("+", ItemKind.BATCH)
