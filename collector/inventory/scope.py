"""Which part of the books somebody asks for: agents, sources and gases; empty means all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from collector.hours.sources import SourceFacts


@dataclass(frozen=True, slots=True)
class Scope:
    """Agents, sources and gases asked for, each in ascending order and empty where nothing narrows it."""

    agents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    gases: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return not (self.agents or self.sources or self.gases)

    def has_agent(self, agent: str) -> bool:
        """Whether an agent is part of it."""
        return not self.agents or agent in self.agents

    def has_source(self, agent: str, source: str) -> bool:
        """Whether an agent's source is part of it."""
        return self.has_agent(agent) and (not self.sources or source in self.sources)

    def has(self, agent: str, source: str, gas: str) -> bool:
        """Whether a figure of this source and gas is part of it."""
        return self.has_source(agent, source) and (not self.gases or gas in self.gases)

    def narrow(self, facts: Iterable[SourceFacts]) -> Iterator[SourceFacts]:
        """The facts of its sources, with its gases alone."""
        for fact in facts:
            gases = tuple(gas for gas in fact.gases if self.has(fact.agent, fact.source, gas))
            if gases:
                yield replace(fact, gases=gases)


WHOLE = Scope()
"""Everything."""
