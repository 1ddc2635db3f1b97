"""The collector asked over HTTP, signed in as the administrator like any user."""

from __future__ import annotations

import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from simulators.demo.programs import DemoError


class Dashboard:
    """A session with the collector's web side."""

    def __init__(self, address: str, username: str, password: str) -> None:
        self.address = address
        self._username = username
        self._password = password
        self._browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            urllib.request.ProxyHandler({}),
        )

    def answers(self) -> bool:
        """Whether the sign-in page is there."""
        try:
            self._fetch("/login")
        except DemoError:
            return False
        return True

    def sign_in(self) -> None:
        """Sign in through the form, with its anti-forgery token if it bears one."""
        page = self._fetch("/login").decode()
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        form = {**hidden, "username": self._username, "password": self._password}
        self._fetch("/login", urllib.parse.urlencode(form).encode())

    def get(self, path: str, **query: str | int) -> Any:
        """JSON of the REST API at /api/v1/``path``."""
        asked = f"/api/v1/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        return json.loads(self._fetch(asked))

    def page(self, path: str) -> str:
        """A page as HTML."""
        return self._fetch(path).decode()

    def _fetch(self, path: str, form: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the address is our own child's on loopback
            self.address + path, data=form, headers={"Origin": self.address}
        )
        try:
            with self._browser.open(request, timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            said = refused.read()[:500].decode(errors="replace")
            raise DemoError(f"collector answered {refused.code} to {path}: {said}") from refused
        except OSError as silent:
            raise DemoError(f"collector does not answer at {self.address}{path}: {silent}") from silent
