"""A small site from register words to a bundle: one agent, one stream with a plan, batches and a tombstone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calibration.certificates import encode_certificate, parse_certificates
from calibration.encoding import Kept, encode_record
from calibration.events import Event as Happening
from calibration.events import from_certificate
from calibration.instruments import Chain, Instrument
from collector.evidence.bundle import BundleContents, ItemDay, write_bundle
from collector.evidence.layout import Leaf, encode_leaf, item_leaf_id, record_kind
from collector.evidence.names import LogName
from collector.hours.assemble import WindowSpan, assemble
from collector.hours.lives import Lives, Trust
from collector.hours.model import RULES
from collector.hours.sources import source_facts
from collector.hours.sums import sum_of
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
    FoldState,
    PlanItem,
    ReadRequest,
    StreamItem,
    Tombstone,
)
from protocols.transparency.checkpoint import Checkpoint, sign_checkpoint
from protocols.transparency.tree import leaf_hash, root_of
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.wire.codec import item_digest, seal_item
from protocols.wire.keys import fingerprint, public_bytes
from tests.plans import float_words, sample, small_document, small_plan

HOUR = 1_790_000_000_000 // 3_600_000 * 3_600_000
AGENT_KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
COLLECTOR_KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
LOG = LogName("emitrace/site", public_bytes(LOG_KEY))
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
    stream: bytes = STREAM
    items: list[tuple[StreamItem, bytes]] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)

    @property
    def agent(self) -> str:
        """The agent's id."""
        return agent_of(self.agent_key)

    def make(
        self,
        *,
        minutes: int = 5,
        dropped: int | None = 2,
        change: Callable[[Batch], Batch] | None = None,
        begin: int = HOUR + 50 * 60_000,
        opened: Callable[[FoldState], FoldState] = lambda state: state,
    ) -> Site:
        """Plan, one batch a minute from ten minutes before the hour's end, and a tombstone for one of them.

        ``change`` makes an agent that signs something other than its words give, ``opened`` one that opens its
        stream with a state of its own making.
        """
        public = public_bytes(self.agent_key)
        self.leaves.append(Leaf("agent-key", self.agent, hashlib.sha256(public).digest()))
        (certificate,) = parse_certificates(CERTIFICATE, "certificate.toml")
        digest = hashlib.sha256(encode_certificate(certificate)).digest()
        self.leaves.append(Leaf("certificate", digest.hex(), digest))
        self._append(PlanItem(self.stream, 0, bytes(32), small_document()))
        self.leaves.append(Leaf("plan", self.plan.digest.hex(), self.plan.digest))
        state = opened(initial_state(self.plan, begin))
        gone: Batch | None = None
        for minute in range(minutes):
            from_ms, to_ms = begin + minute * 60_000, begin + (minute + 1) * 60_000
            samples = sample(self.plan, from_ms, to_ms, answer)
            events = [Event(EventKind.AGENT_START, from_ms)] if minute == 0 else []
            if minute == minutes - 1:
                events.append(Event(EventKind.AGENT_STOP, to_ms - 1))
            folded = fold(self.plan, state, samples, events, from_ms, to_ms)
            batch = Batch(
                self.stream, minute + 1, self._head(), self.plan.digest, from_ms, to_ms,
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
                    self.stream, minutes + 1, self._head(), gone.sequence, gone.sequence, last,
                    gone.from_ms, gone.to_ms, "disk full",
                )
            )  # fmt: skip
        return self

    def contents(self) -> BundleContents:
        """What the collector's store would stream for the hour."""
        return together(self)

    def bundle(self, contents: BundleContents | None = None) -> bytes:
        """The bundle's bytes."""
        file = io.BytesIO()
        write_bundle(file, contents or self.contents(), self.collector_key)
        return file.getvalue()

    def anchors(self) -> list[str]:
        """The fingerprints a verifier would hold."""
        return [agent_of(self.agent_key), agent_of(self.collector_key)]

    def drop(self, first: int, last: int, last_digest: bytes) -> None:
        """A tombstone at the end for the stream's items ``first`` to ``last``."""
        sequence = self.items[-1][0].sequence + 1
        span = (HOUR + 50 * 60_000, HOUR + 52 * 60_000)
        self._append(Tombstone(self.stream, sequence, self._head(), first, last, last_digest, *span, "disk full"))

    def send(self, document: bytes) -> bytes:
        """The signed item by which the agent sends another plan."""
        self._append(PlanItem(self.stream, self.items[-1][0].sequence + 1, self._head(), document))
        return self.items[-1][1]

    def _append(self, item: StreamItem) -> None:
        data = seal_item(item, self.agent_key)
        self.items.append((item, data))
        self.leaves.append(Leaf("item", item_leaf_id(self.agent, item.stream_id, item.sequence), item_digest(data)))

    def _head(self) -> bytes:
        return item_digest(self.items[-1][1]) if self.items else bytes(32)


def checkpoint(leaves: Sequence[Leaf], key: Ed25519PrivateKey = LOG_KEY, origin: str = LOG.name) -> tuple[int, bytes]:
    """Size and signed note of the log of these leaves."""
    root = root_of(leaf_hash(encode_leaf(leaf)) for leaf in leaves)
    return len(leaves), sign_checkpoint(Checkpoint(origin, len(leaves), root), key)


def with_items(contents: BundleContents, items: Sequence[bytes]) -> BundleContents:
    """The same contents with other items in the day's member."""
    day = next(iter(contents.days))
    return replace(contents, days=[replace(day, items=items)])


def together(
    *sites: Site, counted: Sequence[Site] | None = None, records: Sequence[Kept] = (), rules: int = RULES
) -> BundleContents:
    """What one collector's store would stream for the hour of several streams or agents with one plan.

    ``counted``: those whose windows its hours hold, if not all. ``records``: calibration records entered last.
    ``rules``: of hours.
    """
    first = sites[0]
    leaves: list[Leaf] = []
    logged: set[tuple[str, Leaf]] = set()
    for site in sites:
        fresh = [(leaf, ("" if leaf.kind == "certificate" else site.agent, leaf)) for leaf in site.leaves]
        leaves += [leaf for leaf, key in fresh if key not in logged]
        logged.update(key for _, key in fresh)
    rule_profile, digest = load_profile()
    (known,) = parse_certificates(CERTIFICATE, "certificate.toml")
    certificate = encode_certificate(known)
    entered = [encode_record(one) for one in records]
    digests = [hashlib.sha256(data) for data in entered]
    leaves += [
        Leaf(record_kind(one), one.id, digest.digest()) for one, digest in zip(records, digests, strict=True)
    ]
    size = len(leaves)
    seen = [(one, size - len(records) + place) for place, one in enumerate(records, 1)]
    trust = Trust(
        [(from_certificate(known), 2)],
        [(one, at) for one, at in seen if isinstance(one, Happening)],
        [(one, at) for one, at in seen if isinstance(one, Instrument)],
        [(one, at) for one, at in seen if isinstance(one, Chain)],
    )
    lives = Lives(trust, size, rules)
    by_agent: dict[str, list[WindowSpan]] = {site.agent: [] for site in sites}
    for site in sites if counted is None else counted:
        batches = [item for item, _ in site.items if isinstance(item, Batch)]
        by_agent[site.agent] += [WindowSpan(site.plan, batch.windows) for batch in batches]
    hours = [
        row
        for agent, spans in by_agent.items()
        for row in assemble(agent, spans, rule_profile.hour_rule, lives)
        if HOUR <= row.from_ms < HOUR + 3_600_000
    ]
    used = (first.plan.digest.hex(),) if hours else ()
    pinned = Pinned(
        LOG.name, len(leaves), used, (hashlib.sha256(certificate).hexdigest(),), "AR6",
        rule_profile.id, rule_profile.version, digest.hex(), rules,
        tuple(sorted({one.hexdigest() for one in digests})),
    )  # fmt: skip
    facts = [fact for agent in by_agent for fact in source_facts(agent, first.plan)]
    inventory = assemble_inventory(HOUR, HOUR + 3_600_000, map(sum_of, hours), facts, pinned)
    days = {agent: [data for site in sites if site.agent == agent for _, data in site.items] for agent in by_agent}
    publics = {site.agent: public_bytes(site.agent_key) for site in sites}
    folder = resources.files("collector.inventory") / "profiles"
    return BundleContents(
        HOUR, HOUR + 3_600_000, HOUR + 7_200_000, "emitrace-collector 0.1.0", list(publics.values()),
        [certificate], [ItemDay(agent, "2026-09-21", days[agent]) for agent in sorted(days)], leaves,
        [(agent, small_document()) for agent in by_agent], sorted(hours, key=lambda row: (row.from_ms, row.agent)),
        inventory, (folder / f"{rule_profile.id}.toml").read_bytes(), log=(LOG,),
        checkpoints=[checkpoint(leaves)], records=entered,
    )  # fmt: skip
