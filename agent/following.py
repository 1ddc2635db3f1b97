"""Which plan is in force, and which the collector wants followed next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from logging import getLogger

from agent.config import Config
from agent.findings import Findings
from agent.log import line
from agent.site import Reading, Site, keep_pushed, pushed_site, reading_of
from agent.trust import Refused
from protocols.errors import EmitraceError
from protocols.messages import PlanPush
from protocols.plan.document import document_digest
from protocols.records import ReadRequest

_log = getLogger(__name__)


class Following:
    """The site in force and the one after it.

    Parameters
    ----------
    site : Site
        In force at the start.
    findings : Findings
        What was found before under the plan that was in force.
    state : callable
        States in the stream that a plan with a digest is not followed, and why; False where nothing can be stated now.
    """

    def __init__(
        self, config: Config, site: Site, findings: Findings, state: Callable[[bytes, str], bool]
    ) -> None:
        self._findings = findings
        self.site = replace(site, reading=reading_of(site.reading.bound, findings))
        self.next: Site | None = None
        self._config = config
        self._state = state
        self._refused: set[bytes] = set()

    async def take(self, push: PlanPush) -> None:
        """Take a plan of the collector for the next run, or state in the stream why not; Refused where it is stale."""
        bound, digest = self.site.reading.bound, document_digest(push.document)
        awaited = {bound.digest, *(one.reading.bound.digest for one in (self.next,) if one is not None)}
        if digest in awaited | self._refused:
            return
        if push.replaces != bound.digest:
            raise Refused(f"a plan to follow {push.replaces.hex()[:12]}; the one in force is {bound.digest.hex()[:12]}")
        try:
            site = await asyncio.to_thread(pushed_site, self._config, push.document, bound)
            await asyncio.to_thread(keep_pushed, self._config, push.document)
        except (EmitraceError, OSError) as error:
            self._refuse(digest, str(error))
            return
        _log.info(line("plan-accepted", plan=digest.hex()[:12], version=site.reading.bound.plan.version))
        self.next = site

    def learn(
        self, request: ReadRequest, answered: Sequence[ReadRequest], unsupported: Sequence[int], at_ms: int
    ) -> None:
        """Registers that a device has not, or has after all: read so from the next run on."""
        reading = self.site.reading
        bound, ids = reading.bound, [reading.bound.points[point].id for point in request.points]
        self._findings = self._findings.learnt(bound, request, answered, unsupported, at_ms)
        learnt = replace(self.site, reading=reading_of(bound, self._findings))
        if _asks_the_same(learnt.reading, reading):
            self.site = learnt  # refused again
            return
        if unsupported:
            lost = [bound.points[point].id for point in unsupported]
            hint = "the device has no such registers: check model, firmware and map; asked again once a day"
            _log.warning(line("registers-unsupported", points=lost, cut_from=ids, hint=hint))
        else:
            _log.info(line("registers-supported", points=ids))
        if self.next is None or self.next.reading.bound.digest == bound.digest:
            self.next = learnt

    def unsupported(self) -> list[str]:
        """Ids of the points that are not asked, as the devices have no such registers."""
        reading = self.site.reading
        points = [point for position in reading.unsupported for point in reading.requests[position].points]
        return sorted(reading.bound.points[point].id for point in points)

    def turn(self) -> bool:
        """The next plan, where there is one, is in force from now on; whether there was one."""
        if self.next is None:
            return False
        self.site, self.next = self.next, None
        return True

    def _refuse(self, digest: bytes, reason: str) -> None:
        _log.warning(line("plan-refused", plan=digest.hex()[:12], reason=reason))
        if self._state(digest, reason):  # else the collector asks again
            self._refused.add(digest)


def _asks_the_same(one: Reading, other: Reading) -> bool:
    return one.requests == other.requests and one.unsupported.keys() == other.unsupported.keys()
