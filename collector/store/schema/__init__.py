"""Tables of the books, a module per area; every other module takes them from here.

Column types are portable; what only one database understands is bound to its dialect. Times are UTC milliseconds.
Bytes that came in signed stay verbatim in ``items`` or ``quarantine``; everything else is derived from them
or was entered by the central team. A new area is a module here whose tables are named below,
and a revision in ``collector.store.migrations`` that makes them: only revisions make tables.
"""

from collector.store.schema.accounts import sessions, users
from collector.store.schema.agents import agents, streams
from collector.store.schema.alerts import alerts, tellings
from collector.store.schema.audit import audit
from collector.store.schema.base import about, metadata
from collector.store.schema.calibration import calibration_records, evidence_files
from collector.store.schema.certificates import certificates
from collector.store.schema.decisions import quarantine_decisions
from collector.store.schema.engagements import answers, engagements, findings
from collector.store.schema.enrolment import agent_endings, agent_keys, enrolment_tokens, enrolments
from collector.store.schema.healing import healing_reports, healings, losses, signed_heads
from collector.store.schema.hours import days, dirty_hours, hours, months, plan_hours
from collector.store.schema.inventories import inventories, inventory_rows
from collector.store.schema.items import comparisons, items, quarantine, tombstones, uncompared
from collector.store.schema.log import frontier, leaves
from collector.store.schema.plans import plans, pushes
from collector.store.schema.tallies import tallies
from collector.store.schema.tokens import tokens
from collector.store.schema.transparency import checkpoints, origins, timestamps, tree_nodes
from collector.store.schema.windows import slots, windows

__all__ = [
    "about",
    "agent_endings",
    "agent_keys",
    "agents",
    "alerts",
    "answers",
    "audit",
    "calibration_records",
    "certificates",
    "checkpoints",
    "comparisons",
    "days",
    "dirty_hours",
    "engagements",
    "enrolment_tokens",
    "enrolments",
    "evidence_files",
    "findings",
    "frontier",
    "healing_reports",
    "healings",
    "hours",
    "inventories",
    "inventory_rows",
    "items",
    "leaves",
    "losses",
    "metadata",
    "months",
    "origins",
    "plan_hours",
    "plans",
    "pushes",
    "quarantine",
    "quarantine_decisions",
    "sessions",
    "signed_heads",
    "slots",
    "streams",
    "tallies",
    "tellings",
    "timestamps",
    "tokens",
    "tombstones",
    "tree_nodes",
    "uncompared",
    "users",
    "windows",
]
