"""The collector asked over HTTP, as any script of the central team would."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from simulators.demo.programs import DemoError


class Dashboard:
    """The collector's API, with the administrator's password in every request (HTTP Basic)."""

    def __init__(self, address: str, username: str, password: str) -> None:
        self.address = address
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}"}
        self._browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers(self) -> bool:
        """Whether the service answers."""
        try:
            return bool(self.get("health")["status"] == "ok")
        except DemoError:
            return False

    def get(self, path: str, **query: str | int) -> Any:
        """JSON of the REST API at /api/v1/``path``."""
        asked = f"/api/v1/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        return json.loads(self._fetch(asked))

    def page(self, path: str) -> str:
        """A page as HTML."""
        return self._fetch(path).decode()

    def _fetch(self, path: str) -> bytes:
        request = urllib.request.Request(self.address + path, headers=self._headers)  # noqa: S310 - our own child
        try:
            with self._browser.open(request, timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            said = refused.read()[:500].decode(errors="replace")
            raise DemoError(f"collector answered {refused.code} to {path}: {said}") from refused
        except OSError as silent:
            raise DemoError(f"collector does not answer at {self.address}{path}: {silent}") from silent
