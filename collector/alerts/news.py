"""What a message to people or programs says: alerts raised and ended since the last one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from collector.alerts.words import TIME, sentence
from collector.api import shapes
from collector.store.alerts import Alert
from collector.web.language import LANGUAGES, Words
from collector.web.shown import instant

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class News:
    """One message's content; without any alert it is a test.

    Attributes
    ----------
    zone : ZoneInfo
        Of the instants in it.
    link : str
        Address of the page, empty where the configuration gives none.
    collector : str
        Fingerprint of the collector's key.
    """

    raised: Sequence[Alert]
    ended: Sequence[Alert]
    zone: ZoneInfo
    link: str
    collector: str

    def subject(self) -> str:
        """One line in both languages."""
        said = [w("alerts.mail.subject", raised=len(self.raised), ended=len(self.ended)) for w in _both()]
        return f"[Emitrace] {' / '.join(said)}"

    def text(self) -> str:
        """The whole in Chinese, then in English."""
        return "\n\n".join(self._in(words) for words in _both()) + "\n"

    def document(self) -> bytes:
        """The same for a program, as JSON."""
        told = {
            "schema": SCHEMA, "collector": self.collector, "link": self.link, "test": not (self.raised or self.ended),
            "raised": [shapes.alert(one, self.zone) for one in self.raised],
            "ended": [shapes.alert(one, self.zone) for one in self.ended],
        }  # fmt: skip
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

    def _in(self, words: Words) -> str:
        if not (self.raised or self.ended):
            return words("alerts.mail.test")
        lines: list[str] = []
        for title, some in (("alerts.mail.raised", self.raised), ("alerts.mail.ended", self.ended)):
            if some:
                lines.append(words(title))
            for one in some:
                since = instant(one.raised_ms, self.zone, TIME)
                lines.append(f"- [{one.id}] {since} {sentence(one, words, self.zone)}")
        if self.link:
            lines.append(words("alerts.mail.link", link=self.link))
        return "\n".join(lines)


def _both() -> tuple[Words, ...]:
    return tuple(map(Words, LANGUAGES))
