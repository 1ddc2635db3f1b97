"""Several streams, agents and keys: nothing counts twice, nobody is left out, nobody speaks for another."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.evidence.bundle import BundleContents
from collector.evidence.layout import Leaf
from collector.evidence.verify.document import as_json
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.evidence.verify.text import as_text
from collector.hours.sources import source_facts
from collector.hours.sums import sum_of
from collector.inventory.assemble import assemble_inventory
from protocols.plan.document import decode_document, document_digest, encode_document, open_document
from protocols.records import Batch, CounterState, FoldState, PlanItem
from protocols.wire.codec import item_digest, seal_item
from tests.collector.evidence.site import COLLECTOR_KEY, HOUR, Site, agent_of, together, with_items

OTHER_AGENT = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
OTHER_STREAM = b"t" * 16
MINUTE = 60_000


def verified(contents: BundleContents) -> Report:
    """The report on a bundle of the good collector for somebody who holds every key."""
    trusted = [Site().agent, agent_of(OTHER_AGENT), agent_of(COLLECTOR_KEY)]
    return verify_bundle(io.BytesIO(Site().bundle(contents)), trusted)


def found(contents: BundleContents, step: Step) -> str:
    """What was seen in a step; the bundle must contradict itself there."""
    report = verified(contents)
    assert report.verdict is Verdict.CONTRADICTS
    seen = [finding.seen for finding in report.findings if finding.step is step]
    assert seen, report.findings
    return seen[0]


def test_two_streams_one_after_the_other_add_up() -> None:
    """An agent that lost its outbox begins a new stream; nothing is counted twice."""
    first = Site().make(dropped=None)
    second = Site(stream=OTHER_STREAM).make(dropped=None, minutes=4, begin=HOUR + 55 * MINUTE)
    report = verified(together(first, second))

    assert [] == report.findings
    assert [(0, 5), (0, 4)] == [(one.first, one.last) for one in report.extents]


@pytest.mark.parametrize("counted", [0, 1])
def test_two_streams_over_the_same_time_contradict_each_other(counted: int) -> None:
    """Whichever of them the books count."""
    first = Site().make(dropped=None)
    second = Site(stream=OTHER_STREAM).make(dropped=None, minutes=4, begin=HOUR + 54 * MINUTE)
    seen = found(together(first, second, counted=[(first, second)[counted]]), Step.HOURS)

    assert "states already" in seen
    assert "stream 7373" in seen


def test_two_agents_over_the_same_time_contradict_each_other() -> None:
    """The same source of the same site under two keys would stand twice in the total."""
    first, second = Site().make(dropped=None), Site(agent_key=OTHER_AGENT).make(dropped=None)

    assert "states already" in found(together(first, second), Step.HOURS)


def test_an_agent_that_takes_over_from_another_is_no_contradiction() -> None:
    """A new device with a new key goes on where the old one ended."""
    first = Site().make(dropped=None)
    second = Site(agent_key=OTHER_AGENT).make(dropped=None, minutes=4, begin=HOUR + 55 * MINUTE)

    assert Verdict.CONSISTENT is verified(together(first, second)).verdict


def test_a_stream_in_the_log_must_be_in_the_bundle() -> None:
    """Left out with its hours: the log still knows it."""
    first = Site().make(dropped=None)
    second = Site(stream=OTHER_STREAM).make(dropped=None, minutes=4, begin=HOUR + 55 * MINUTE)
    contents = together(first, second, counted=[first])

    assert "none is in the bundle" in found(with_items(contents, [data for _, data in first.items]), Step.CHAIN)


@pytest.mark.parametrize("begin", [HOUR - 30 * MINUTE, HOUR + 70 * MINUTE])
def test_a_stream_outside_the_period_shows_that_it_is(begin: int) -> None:
    """Its last batch, or all up to its first, proves it; a plan item alone would not."""
    first = Site().make(dropped=None)
    outside = Site(stream=OTHER_STREAM).make(dropped=None, minutes=3, begin=begin)
    contents = together(first, outside)
    kept = outside.items[-1:] if begin < HOUR else outside.items[:2]
    report = verified(with_items(contents, [data for _, data in (*first.items, *kept)]))

    assert [] == report.findings
    assert (kept[0][0].sequence, kept[-1][0].sequence) == (report.extents[1].first, report.extents[1].last)


def test_a_last_item_that_is_no_batch_does_not_stand_for_its_stream() -> None:
    """A plan says nothing about time."""
    site = Site().make(dropped=None)
    last, data = site.items[-1]
    plan = seal_item(
        PlanItem(last.stream_id, last.sequence + 1, item_digest(data), site.contents().plans[0][1]), site.agent_key
    )
    site.leaves.append(Leaf("item", f"{site.agent}/{last.stream_id.hex()}/{last.sequence + 1}", item_digest(plan)))

    assert "no batch" in found(with_items(together(site, counted=[]), [plan]), Step.CHAIN)


def test_items_that_wait_for_one_that_never_came_are_named() -> None:
    """They are in no figure, and the verifier is told."""
    site = Site().make(dropped=None)
    gone = next(leaf for leaf in site.leaves if leaf.object_id.endswith("/4"))
    site.leaves.remove(gone)
    short = Site(items=site.items[:4], leaves=site.leaves)
    report = verified(together(short))

    assert [] == report.findings
    assert any("1 items wait there for it" in note for note in report.notes)
    assert 1 == report.extents[0].later


def _counting(state: FoldState) -> FoldState:
    """A first state that pretends to have counted before."""
    point, *rest = state.points
    counter = CounterState(state.at_ms - 1000, 0, state.at_ms - 1000, 10**9)
    return replace(state, points=(replace(point, counter=counter), *rest))


def test_a_stream_begins_with_nothing() -> None:
    """An opening state that no batch yielded would count what no register word says."""
    site = Site().make(dropped=None, opened=_counting)

    assert "nothing before it yields" in found(together(site), Step.STATE)


def test_first_items_that_were_dropped_are_no_contradiction() -> None:
    """A disk that filled up before anything was safe: the tombstone stands for the stream's first items."""
    whole = Site().make(dropped=None)
    leaves = [leaf for leaf in whole.leaves if leaf.object_id[-2:] not in ("/0", "/1", "/2")]
    site = Site(items=whole.items[3:], leaves=leaves)
    site.drop(0, 2, item_digest(whole.items[2][1]))
    report = verified(together(site))

    assert [] == report.findings
    assert 3 == report.counts["dropped items"]
    site.items[-1:] = []
    found(together(site), Step.CHAIN)


def test_what_follows_dropped_items_is_bounded() -> None:
    """Behind a tombstone the opening state is the agent's word, but a counter cannot carry more than it grew."""

    def greedy(batch: Batch) -> Batch:
        if batch.sequence != 4:
            return batch
        point, *rest = batch.opening.points
        assert point.counter is not None
        more = replace(point, counter=replace(point.counter, pending=10**12))
        return replace(batch, opening=replace(batch.opening, points=(more, *rest)))

    seen = found(together(Site().make(dropped=2, change=greedy)), Step.STATE)

    assert "still to be counted" in seen


@pytest.mark.parametrize("with_tombstone", [True, False])
def test_an_opening_state_nobody_can_check_is_plausible(with_tombstone: bool) -> None:
    """Where the batch before was dropped, or belongs to an earlier bundle, the meter's greatest rate still holds."""
    begin = HOUR - MINUTE

    def greedy(batch: Batch) -> Batch:
        points = [
            point if point.counter is None else replace(point, counter=replace(point.counter, pending=10**12))
            for point in batch.opening.points
        ]
        return replace(batch, opening=replace(batch.opening, points=tuple(points))) if batch.sequence == 2 else batch

    whole = Site().make(dropped=None, begin=begin, change=greedy)
    kept = whole.items[2:]
    site = Site(plan=whole.plan, items=list(kept), leaves=list(whole.leaves))
    if with_tombstone:
        site.leaves = [leaf for leaf in whole.leaves if leaf.object_id[-2:] not in ("/0", "/1")]
        site.drop(0, 1, item_digest(whole.items[1][1]))

    assert "greatest rate" in found(together(site), Step.STATE)


def test_a_plan_the_agent_never_signed_states_no_facts() -> None:
    """The collector logs a newer plan in the agent's name, with a source out of the total."""
    site = Site().make(dropped=None)
    contents = together(site)
    text, maps = decode_document(contents.plans[0][1])
    document = encode_document(text + "# in the agent's name\n", maps)
    digest = document_digest(document)
    site.leaves.append(Leaf("plan", digest.hex(), digest))
    lied = replace(together(site), plans=[*contents.plans, (site.agent, document)])

    assert "no item the agent signed names it" in found(lied, Step.DOCUMENT)


def test_a_plan_sent_outside_the_period_comes_with_its_signature() -> None:
    """A later plan that names the sources states their facts; its signed item comes along."""
    site = Site().make(dropped=None, minutes=12)
    text, maps = decode_document(small := site.contents().plans[0][1])
    document = encode_document(text + "# a later version\n", maps)
    digest = document_digest(document)
    item = site.send(document)
    site.leaves.append(Leaf("plan", digest.hex(), digest))
    contents = together(site)
    inside = [data for one, data in site.items if not isinstance(one, PlanItem) or one.sequence == 0]
    whole = replace(
        with_items(contents, inside), plans=[(site.agent, small), (site.agent, document)], sent=[(site.agent, item)],
        inventory=assemble_inventory(
            HOUR, HOUR + 3_600_000, map(sum_of, contents.hours), source_facts(site.agent, open_document(document)),
            contents.inventory.pinned,
        ),
    )  # fmt: skip

    assert [] == verified(whole).findings
    found(replace(whole, sent=[]), Step.DOCUMENT)
    found(replace(whole, sent=[(site.agent, site.items[0][1])]), Step.DOCUMENT)
    found(replace(whole, plans=whole.plans[::-1]), Step.LOG)


def test_one_key_never_speaks_for_two_parties() -> None:
    """A collector that signs as an agent would need only its own key."""
    site = Site(agent_key=COLLECTOR_KEY).make(dropped=None)

    assert "collector and agent" in found(together(site), Step.SIGNATURE)


def test_an_older_knowledge_time_and_an_unused_anchor_are_said() -> None:
    """Both are allowed, neither is silent."""
    site = Site().make(dropped=None)
    contents = together(site)
    site.leaves.append(Leaf("agent-key", agent_of(OTHER_AGENT), bytes(32)))
    report = verified(replace(contents, leaves=site.leaves))
    text = "\n".join(as_text(report, "bundle.zip"))

    assert any("1 later leaves" in note for note in report.notes)
    assert f"signed nothing here / 已持有，但此处无其签名: {agent_of(OTHER_AGENT)}" in text
    assert "items 0 to 5, " in text
    assert agent_of(OTHER_AGENT) in as_json(report, "bundle.zip")


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    """Control characters in a stated row are shown, never sent."""
    contents = together(Site().make(dropped=None))
    first, *rest = contents.hours
    lied = replace(contents, hours=[replace(first, gas="x\x1b[2J\nConsistent"), *rest])

    lines = list(as_text(verified(lied), "bundle.zip"))

    assert not any("\x1b" in line or "\n" in line for line in lines)
