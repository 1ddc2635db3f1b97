"""Calibration records in bundles: proved by the log, and what they make of the hours recomputed from them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from calibration.encoding import encode_record
from calibration.events import Event, What
from calibration.instruments import Chain, Instrument, Member, Part
from collector.evidence.bundle import BundleContents
from collector.evidence.layout import Leaf
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.hours.model import COARSE
from collector.inventory.document import decode_inventory, encode_inventory
from protocols.plan.model import Regime
from tests.collector.evidence.site import HOUR, Site, checkpoint, together

HALF = HOUR + 53 * 60_000 + 30_000
SITE = Site().make()
OUT = Event("em-1-out", "em-1", "E1", What.OUT_OF_USE, at_ms=HALF, reason="taken to the laboratory")
CT = Instrument("ct-1", "CT1", Regime.USER_DEFINED)
CHAIN = Chain("feeder-1", (Member(Part.METER, "em-1"), Member(Part.CURRENT_TRANSFORMER, "ct-1")))


def verified(contents: BundleContents) -> Report:
    """The report of somebody who holds the anchors."""
    return verify_bundle(io.BytesIO(SITE.bundle(contents)), SITE.anchors())


def statuses(contents: BundleContents) -> dict[str, int]:
    """Mass per status of the metered source. [mg]"""
    (row,) = [row for row in contents.hours if row.source == "grid"]
    assert row.mass_mg == sum(mass for _, mass in row.status_mg)
    return dict(row.status_mg)


def test_events_instruments_and_chains_are_proved_and_recomputed() -> None:
    """A meter taken out of use inside a window splits that window; a transformer without papers drags the rest down."""
    alone, chained = together(SITE, records=[OUT]), together(SITE, records=[OUT, CT, CHAIN])

    assert {"suspended", "in-interval"} == set(statuses(alone))
    assert {"suspended", "unknown"} == set(statuses(chained))
    report = verified(chained)
    assert ([], Verdict.CONSISTENT) == (report.findings, report.verdict)
    assert 3 == report.counts["calibration records"]


def test_a_bundle_of_the_coarse_rules_still_verifies() -> None:
    """Its inventory names no rules, its statuses are the three of then, and its bytes are those of then."""
    contents = together(SITE, rules=COARSE)
    data = encode_inventory(contents.inventory)

    report = verified(contents)

    assert ([], Verdict.CONSISTENT) == (report.findings, report.verdict)
    assert b"hour_rules" not in data
    assert b"records" not in data
    assert contents.inventory == decode_inventory(data)


def test_statuses_of_other_rules_contradict() -> None:
    """An inventory that pins the coarse rules may not state the statuses of today's."""
    today = together(SITE, records=[OUT])
    pinned = replace(today.inventory.pinned, hour_rules=COARSE)

    report = verified(replace(today, inventory=replace(today.inventory, pinned=pinned)))

    assert Step.HOURS in {one.step for one in report.findings}


def test_a_record_entered_again_counts_from_its_last_leaf() -> None:
    """A chain that was corrected, and put back as it was first: the first record is what counts."""
    alone = Chain(CHAIN.id, (Member(Part.METER, "em-1"),))
    contents = together(SITE, records=[alone, CT, CHAIN, alone])

    assert {"in-interval"} == set(statuses(contents))
    assert [] == verified(contents).findings


def _never_logged(contents: BundleContents) -> BundleContents:
    return replace(contents, records=[*contents.records, encode_record(replace(OUT, id="another"))])


def _logged_as_something_else(contents: BundleContents) -> BundleContents:
    data = encode_record(CT)
    digest = hashlib.sha256(data)
    leaves = [*contents.leaves, Leaf("chain", CT.id, digest.digest())]
    shown = [one for one in leaves if isinstance(one, Leaf)]
    return replace(
        contents, leaves=leaves, records=[*contents.records, data], checkpoints=[checkpoint(shown)]
    )


LIES: dict[str, tuple[Callable[[BundleContents], BundleContents], Step]] = {
    "a record left out": (lambda c: replace(c, records=()), Step.LOG),
    "a record that was never logged": (_never_logged, Step.LOG),
    "a record logged as something else": (_logged_as_something_else, Step.LOG),
    "a record that is none": (lambda c: replace(c, records=[*c.records, b"\xa1\x01\x01"]), Step.DOCUMENT),
    "a record not pinned": (
        lambda c: replace(c, inventory=replace(c.inventory, pinned=replace(c.inventory.pinned, records=()))),
        Step.INVENTORY,
    ),
}


@pytest.mark.parametrize(("lie", "step"), LIES.values(), ids=LIES)
def test_a_lie_about_calibration_is_found(lie: Callable[[BundleContents], BundleContents], step: Step) -> None:
    """Whatever is left out, made up or renamed."""
    report = verified(lie(together(SITE, records=[OUT, CHAIN])))

    assert step in {one.step for one in report.findings}
