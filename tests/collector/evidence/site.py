"""A small site from register words to a bundle: one agent, one stream with a plan, batches and a tombstone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calibration.certificates import encode_certificate, parse_certificates
from collector.evidence.bundle import BundleContents, ItemDay, write_bundle
from collector.evidence.layout import Leaf, item_leaf_id
from collector.hours.assemble import WindowSpan, assemble
from collector.hours.sources import source_facts
from collector.inventory.assemble import assemble_inventory
from collector.inventory.model import Pinned
from collector.inventory.profile import load_profile
from protocols.plan.bound import BoundPlan
from protocols.records import (
    Batch,
    Clock,
    ClockState,
    Event,
    EventKind,
    Fate,
    PlanItem,
    ReadRequest,
    StreamItem,
    Tombstone,
)
from protocols.windows.fold import fold, initial_state
from protocols.wire.codec import item_digest, seal_item
from protocols.wire.keys import fingerprint, public_bytes
from tests.plans import float_words, sample, small_document, small_plan

HOUR = 1_790_000_000_000 // 3_600_000 * 3_600_000
AGENT_KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
COLLECTOR_KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
STREAM = b"s" * 16
CERTIFICATE = """
schema = 1

[[certificates]]
id = "em-1-2026"
instrument = "em-1"
serial = "E1"
kind = "verification-certificate"
number = "V-1"
laboratory = "Laboratory made up for tests"
performed_on = 2026-01-05
valid_until = 2027-01-04
result = "pass"
"""


def agent_of(key: Ed25519PrivateKey = AGENT_KEY) -> str:
    """Fingerprint of a key."""
    return fingerprint(public_bytes(key))


def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
    """A meter counting 1 kWh a minute, a gas meter, a running stack with a hiccup now and then."""
    if request.unit == 3 and slot % 17 == 0:
        return Fate.TIMEOUT
    since = (due_ms - HOUR) // 1000
    return 40 + slot % 7, {
        "em-1.energy": 5_000_000 + since * 50 // 3,
        "gm-1.volume": 120_000 + since * 2,
        "stack-1.flow": float_words(5000 + slot % 11),
        "stack-1.temperature": float_words(120.5 + slot % 3 / 10),
        "stack-1.pressure": float_words(101.1),
        "stack-1.water": float_words(11.5),
        "stack-1.co2": float_words(8.25 + slot % 5 / 100),
        "stack-1.state": 1 if slot % 600 > 20 else 0,
    }


@dataclass(slots=True)
class Site:
    """Items as an agent makes them, and what a collector would keep of them."""

    agent_key: Ed25519PrivateKey = AGENT_KEY
    collector_key: Ed25519PrivateKey = COLLECTOR_KEY
    plan: BoundPlan = field(default_factory=small_plan)
    items: list[tuple[StreamItem, bytes]] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)

    @property
    def agent(self) -> str:
        """The agent's id."""
        return agent_of(self.agent_key)

    def make(
        self, *, minutes: int = 5, dropped: int | None = 2, change: Callable[[Batch], Batch] | None = None
    ) -> Site:
        """Plan, one batch a minute from ten minutes before the hour's end, and a tombstone for one of them.

        ``change`` makes an agent that signs something other than its words give.
        """
        public = public_bytes(self.agent_key)
        self.leaves.append(Leaf("agent-key", self.agent, hashlib.sha256(public).digest()))
        (certificate,) = parse_certificates(CERTIFICATE, "certificate.toml")
        digest = hashlib.sha256(encode_certificate(certificate)).digest()
        self.leaves.append(Leaf("certificate", digest.hex(), digest))
        self._append(PlanItem(STREAM, 0, bytes(32), small_document()))
        self.leaves.append(Leaf("plan", self.plan.digest.hex(), self.plan.digest))
        begin = HOUR + 50 * 60_000
        state = initial_state(self.plan, begin)
        gone: Batch | None = None
        for minute in range(minutes):
            from_ms, to_ms = begin + minute * 60_000, begin + (minute + 1) * 60_000
            samples = sample(self.plan, from_ms, to_ms, answer)
            events = [Event(EventKind.AGENT_START, from_ms)] if minute == 0 else []
            if minute == minutes - 1:
                events.append(Event(EventKind.AGENT_STOP, to_ms - 1))
            folded = fold(self.plan, state, samples, events, from_ms, to_ms)
            batch = Batch(
                STREAM, minute + 1, self._head(), self.plan.digest, from_ms, to_ms,
                Clock(b"b" * 16, HOUR, ClockState.SYNCED, 5), "emitrace-agent 0.1.0", state, samples,
                (*events, *folded.derived_events), folded.windows, folded.slots,
            )  # fmt: skip
            batch = change(batch) if change is not None else batch
            if minute == dropped:
                gone = batch
                self.items.append((batch, seal_item(batch, self.agent_key)))
            else:
                self._append(batch)
            state = folded.state
        if gone is not None:
            last = item_digest(next(data for item, data in self.items if item is gone))
            self.items = [pair for pair in self.items if pair[0] is not gone]
            self._append(
                Tombstone(
                    STREAM, minutes + 1, self._head(), gone.sequence, gone.sequence, last, gone.from_ms, gone.to_ms,
                    "disk full",
                )
            )  # fmt: skip
        return self

    def contents(self) -> BundleContents:
        """What the collector's store would stream for the hour."""
        rule_profile, digest = load_profile()
        certificate = encode_certificate(parse_certificates(CERTIFICATE, "certificate.toml")[0])
        known = ((parse_certificates(CERTIFICATE, "certificate.toml")[0], 2),)
        batches = [item for item, _ in self.items if isinstance(item, Batch)]
        spans = [WindowSpan(self.plan, batch.windows) for batch in batches]
        rows = assemble(self.agent, spans, rule_profile.hour_rule, known, len(self.leaves))
        hours = [row for row in rows if row.from_ms < HOUR + 3_600_000]
        pinned = Pinned(
            agent_of(self.collector_key), len(self.leaves), (self.plan.digest.hex(),),
            (hashlib.sha256(certificate).hexdigest(),), "AR6", rule_profile.id, rule_profile.version, digest.hex(),
        )  # fmt: skip
        facts = source_facts(self.agent, self.plan)
        inventory = assemble_inventory(HOUR, HOUR + 3_600_000, hours, facts, pinned)
        folder = resources.files("collector.inventory") / "profiles"
        return BundleContents(
            HOUR, HOUR + 3_600_000, HOUR + 7_200_000, "emitrace-collector 0.1.0", [public_bytes(self.agent_key)],
            [certificate], [ItemDay(self.agent, "2026-09-21", [data for _, data in self.items])], list(self.leaves),
            [(self.agent, small_document())], hours, inventory, (folder / f"{rule_profile.id}.toml").read_bytes(),
        )  # fmt: skip

    def bundle(self, contents: BundleContents | None = None) -> bytes:
        """The bundle's bytes."""
        file = io.BytesIO()
        write_bundle(file, contents or self.contents(), self.collector_key)
        return file.getvalue()

    def anchors(self) -> list[str]:
        """The fingerprints a verifier would hold."""
        return [agent_of(self.agent_key), agent_of(self.collector_key)]

    def _append(self, item: StreamItem) -> None:
        data = seal_item(item, self.agent_key)
        self.items.append((item, data))
        self.leaves.append(Leaf("item", item_leaf_id(self.agent, item.stream_id, item.sequence), item_digest(data)))

    def _head(self) -> bytes:
        return item_digest(self.items[-1][1]) if self.items else bytes(32)


def with_items(contents: BundleContents, items: Sequence[bytes]) -> BundleContents:
    """The same contents with other items in the day's member."""
    day = next(iter(contents.days))
    return replace(contents, days=[replace(day, items=items)])
