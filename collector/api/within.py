"""Whether an inventory version is one that a session may see: as a whole or not at all, for its digest is of all."""

from __future__ import annotations

from collector.accounts.reach import OutsideError, Reach
from collector.inventory.model import Inventory


def is_within(inventory: Inventory, reach: Reach) -> bool:
    """Whether the period and every row of a version are inside."""
    rows = (*inventory.rows, *inventory.cross_checks)
    return reach.covers(inventory.from_ms, inventory.to_ms) and all(reach.has_agent(row.agent) for row in rows)


def need_within(inventory: Inventory, version: int, reach: Reach) -> None:
    """Refuse a version that is not inside as a whole: OutsideError."""
    if not is_within(inventory, reach):
        hint = "Ask the central team for a version of just the facilities and the period of the engagement."
        raise OutsideError(f"inventory {version}", "reaches beyond the engagement", hint)
