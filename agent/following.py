"""Which plan is in force, and which the collector wants followed next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from logging import getLogger

from agent.config import Config
from agent.findings import keep_findings, read_findings, refined
from agent.log import line
from agent.site import Reading, Site, keep_pushed, pushed_site
from agent.trust import Refused
from protocols.errors import EmitraceError
from protocols.messages import PlanPush
from protocols.modbus.planner import plan_reads
from protocols.plan.document import document_digest
from protocols.records import ReadRequest

_log = getLogger(__name__)


class Following:
    """The site in force and the one after it.

    Parameters
    ----------
    site : Site
        In force at the start.
    state : callable
        States in the stream that a plan with a digest is not followed, and why; False where nothing can be stated now.
    """

    def __init__(self, config: Config, site: Site, state: Callable[[bytes, str], bool]) -> None:
        self._findings = read_findings(config.state_dir)
        self.site = replace(site, reading=refined(site.reading, self._findings))
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

    def learn(self, request: ReadRequest, answered: Sequence[ReadRequest], unsupported: Sequence[int]) -> None:
        """Registers that a device has not, or has after all: read so from the next run on."""
        reading = self.site.reading
        planned = Reading(reading.bound, plan_reads(reading.bound))
        ids = [reading.bound.points[point].id for point in request.points]
        if answered and not unsupported and {*ids} <= {*self._findings.unsupported}:
            self._findings = self._findings.supported(ids[0])
            _log.info(line("registers-supported", points=ids))
        else:
            self._findings = self._findings.learnt(reading, request, answered, unsupported)
            lost = [reading.bound.points[point].id for point in unsupported]
            hint = "the device has no such registers: check model, firmware and map; asked again once a day"
            _log.warning(line("registers-unsupported", points=lost, cut_from=ids, hint=hint))
        if self.next is None or self.next.reading.bound.digest == reading.bound.digest:
            self.next = replace(self.site, reading=refined(planned, self._findings))

    def unsupported(self) -> list[str]:
        """Ids of the points that are not asked, as the devices have no such registers."""
        reading = self.site.reading
        points = [point for position in reading.unsupported for point in reading.requests[position].points]
        return sorted(reading.bound.points[point].id for point in points)

    def keep(self) -> None:
        """What was found is on the disk before anything is read by it."""
        if self._findings != read_findings(self._config.state_dir):
            keep_findings(self._config.state_dir, self._findings)

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
