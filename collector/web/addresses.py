"""Where every figure is explained: addresses that stay, so that they can be copied."""

from __future__ import annotations

from urllib.parse import urlencode

from collector.web.period import Period


def hour_address(agent: str, source: str, gas: str, at_ms: int) -> str:
    """The page of the hour that holds an instant."""
    return "/emissions/hour?" + urlencode({"agent": agent, "source": source, "gas": gas, "at": at_ms})


def figure_address(agent: str, source: str, gas: str, period: Period) -> str:
    """The explanation of a source and gas over a period."""
    named = {"agent": agent, "source": source, "gas": gas}
    return "/explain?" + urlencode(named | {"from": period.text(period.from_ms), "to": period.text(period.to_ms)})


def window_address(agent: str, source: str, gas: str, from_ms: int, counter_input: int) -> str:
    """The explanation of the window that begins at an instant."""
    named = {"agent": agent, "source": source, "gas": gas, "from": from_ms, "input": counter_input + 1}
    return "/explain/window?" + urlencode(named)


def trail_address(agent: str, source: str, gas: str, span: tuple[int, int], at_ms: int | None = None) -> str:
    """The trail of a figure as one JSON document, by way of an instant."""
    named: dict[str, str | int] = {
        "agent": agent, "source": source, "gas": gas, "from_ms": span[0], "to_ms": span[1]
    }  # fmt: skip
    return "/api/v1/explain?" + urlencode(named if at_ms is None else named | {"at_ms": at_ms})


def bundle_address(agent: str, source: str, gas: str, span: tuple[int, int]) -> str:
    """The evidence of just that figure, for ``emitrace-verify``."""
    named = {"from_ms": span[0], "to_ms": span[1], "agent": agent, "source": source, "gas": gas}
    return "/api/v1/bundle?" + urlencode(named)
