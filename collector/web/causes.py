"""Causes of uncertainty in words, with their shares of the variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.hours.sums import HourSum
from collector.inventory.uncertainty import parts_of
from collector.web.frame import View
from protocols.plan.bound import BoundPlan
from protocols.plan.model import Text


@dataclass(frozen=True, slots=True)
class Share:
    """One cause of uncertainty in words: standard uncertainty [mg] and its share of the variance, 0 to 1."""

    said: str
    u_mg: float
    share: float


def names_of(plan: BoundPlan) -> dict[str, Text]:
    """What the causes of a plan are called: its instruments and factors."""
    names = {f"instrument:{one.id}": one.name for one in plan.plan.instruments}
    return names | {f"factor:{one.id}": one.name for one in plan.plan.factors}


def shares_of(one: HourSum, names: Mapping[str, Text], view: View) -> list[Share]:
    """Every cause that adds something to a sum's uncertainty, the greatest first."""
    words, parts = view.words, parts_of(one)

    def said(cause: str) -> str:
        kind, _, name = cause.partition(":")
        text = names.get(cause)
        return words(f"cause.{kind}", name=f"{text_of(view, text)} ({name})" if text else name)

    found = [(words("cause.independent"), parts.independent), *((said(cause), u) for cause, u in one.u_shared)]
    found += [(words("cause.first"), parts.end_first), (words("cause.last"), parts.end_last)]
    variance = parts.standard**2
    shares = [Share(text, abs(u), u * u / variance) for text, u in found if u and variance]
    return sorted(shares, key=lambda share: -share.share)


def text_of(view: View, text: Text) -> str:
    """A plan's text in the page's language."""
    return text.zh if view.words.language == "zh-CN" else text.en
