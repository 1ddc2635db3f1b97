"""The plant stands still for a time: this changes what is true, and the ledger knows it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simulators.faults.fault import Fault, When


class Stop(Fault):
    """A load or the boiler is off from ``from`` to ``to``; ``of`` names it, nothing means all of them."""

    zh = "停机与重启：负荷或锅炉在一段时间内真实停运（台账同步）"
    en = "the boiler or a load truly stands still from 'from' to 'to', and starts again; the ledger knows it"
    kind: Literal["stop"]
    of: str = ""
    ends: When = Field(alias="to")
