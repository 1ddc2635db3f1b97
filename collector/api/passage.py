"""What passes the gate: bodies counted as they come in, answers with the headers that none may lack; plain ASGI."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send "Origin: null" with our own forms
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NOT_KEPT = {"Cache-Control": "no-store"}
STRICT = {"Strict-Transport-Security": "max-age=31536000"}
LARGEST_BODY = 64 * 1024
"""No form and no request of the API needs more, but those with a file. [bytes]"""


class TooLargeError(HTTPException):
    """A body past the limit; the application answers it as any other HTTPException."""


class Body:
    """What comes in, counted whatever the client said of its length, and read again after the gate looked into it.

    ``largest`` is raised only for who may use a route that takes more.
    """

    def __init__(self, receive: Receive) -> None:
        self.largest = LARGEST_BODY
        self._receive = receive
        self._size = 0
        self._again: list[Message] = []

    async def receive(self) -> Message:
        """The next message; TooLargeError past the limit."""
        if self._again:
            return self._again.pop(0)
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self.largest:
            raise TooLargeError(413, f"a body of more than {self.largest} bytes")
        return message

    def rewind(self, whole: bytes) -> None:
        """Let the body be read once more."""
        self._again = [{"type": "http.request", "body": whole, "more_body": False}]


class Answer:
    """What goes out, with every header that no answer may lack."""

    def __init__(self, send: Send, path: str, *, https: bool) -> None:
        self._send = send
        self._headers = {**HEADERS, **({} if path.startswith("/static/") else NOT_KEPT), **(STRICT if https else {})}
        self._open = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            self._open = True
        elif message["type"] == "http.response.body":
            self._open = bool(message.get("more_body", False))
        await self._send(message)

    async def finish(self) -> None:
        """End an answer that the application left off because the session ended."""
        if self._open:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})
