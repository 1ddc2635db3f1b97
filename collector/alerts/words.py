"""An alert as a sentence, in either language."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from collector.store.alerts import Alert
from collector.web.language import Words
from collector.web.shown import instant

TIME = "%Y-%m-%d %H:%M"


def sentence(alert: Alert, words: Words, zone: ZoneInfo) -> str:
    """What is the matter and what to do; an instant among its facts is given in a zone."""
    facts: dict[str, str | int] = dict(alert.facts)
    since = facts.pop("since_ms", None)
    if isinstance(since, int):
        facts["since"] = f"{instant(since, zone, TIME)} ({zone.key})"
    if "reason" in facts:
        facts["reason"] = words.of("reason", str(facts["reason"]))
    if "state" in facts:
        facts["state"] = words.of("calibration", str(facts["state"]))
    if "cause" in facts:
        facts["cause"] = words.of("healing.cause", str(facts["cause"]))
    return words(f"alert.{alert.kind}", **facts)
