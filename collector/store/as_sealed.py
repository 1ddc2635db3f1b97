"""Hours as a sealed inventory was made from them: by its rules, as known at its size of the log.

What became known of the instruments since, and rules of hours that came since, change the ledger of today and no
sealed version. Windows that came since do: then the version's hours are not to be had any more, and it says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection

from collector.evidence.verify.ledger import differences
from collector.hours.assemble import HourRule, WindowSpan, assemble
from collector.hours.cells import HOUR_MS
from collector.hours.lives import Lives
from collector.hours.model import HourRow
from collector.hours.sums import HourSum, add_up, sum_of
from collector.inventory.assemble import assemble_inventory
from collector.inventory.document import plain
from collector.inventory.model import Inventory
from collector.store.hours import windows_between
from collector.store.plans import PlanBook, sources_known
from collector.store.series import agents_of
from collector.store.trust import trust_known
from protocols.records import Window

_DAY_MS = 24 * HOUR_MS
_TOGETHER = 64


def hours_as_sealed(connection: Connection, book: PlanBook, rule: HourRule, sealed: Inventory) -> Iterator[HourRow]:
    """The hour rows of a version's period by time, agent, source and gas; a day of windows in memory at a time."""
    lives = Lives(trust_known(connection), sealed.pinned.tree_size, sealed.pinned.hour_rules)
    agents = agents_of(connection)
    for start in range(sealed.from_ms, sealed.to_ms, _DAY_MS):
        end = min(start + _DAY_MS, sealed.to_ms)
        rows = [row for agent in agents for row in _made(connection, book, rule, lives, agent, start, end)]
        yield from sorted(rows, key=lambda row: (row.from_ms, row.agent, row.source, row.gas))


def still_follows(connection: Connection, book: PlanBook, rule: HourRule, sealed: Inventory) -> bool:
    """Whether a sealed version still follows from the windows in the books, made as it was made."""
    sums: dict[tuple[str, str, str], list[HourSum]] = defaultdict(list)
    for row in hours_as_sealed(connection, book, rule, sealed):
        own = sums[row.agent, row.source, row.gas]
        own.append(sum_of(row))
        if len(own) >= _TOGETHER:
            own[:] = [add_up(own)]
    again = assemble_inventory(
        sealed.from_ms, sealed.to_ms, (one for own in sums.values() for one in own), sources_known(connection, book),
        sealed.pinned,
    )  # fmt: skip
    return next(differences(plain(again), plain(sealed)), None) is None


def _made(
    connection: Connection, book: PlanBook, rule: HourRule, lives: Lives, agent: str, from_ms: int, to_ms: int
) -> tuple[HourRow, ...]:
    by_plan: dict[bytes, list[Window]] = defaultdict(list)
    for digest, window in windows_between(connection, agent, from_ms, to_ms):
        by_plan[digest].append(window)
    plans = {digest: book.of(connection, agent, digest) for digest in sorted(by_plan)}
    spans = [WindowSpan(plan, by_plan[digest]) for digest, plan in plans.items() if plan is not None]
    return assemble(agent, spans, rule, lives)
