from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import anyio
import httpx
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from collector.accounts.authority import Authority, Client
from collector.accounts.register import Register
from collector.accounts.roles import Permission, Role
from collector.accounts.sessions import Lifetime
from collector.api.gate import Gate, needs
from collector.api.passage import HEADERS, LARGEST_BODY
from collector.books import Books
from tests.collector.running import PASSWORD
from tests.services import LOOPBACK, free_port, wait_until

pytestmark = pytest.mark.usefixtures("quick_hashes")
RECHECK_S = 0.2


@dataclass
class Served:
    """A small application behind the real gate, on a real socket."""

    port: int
    authority: Authority
    register: Register
    ran: list[str] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://{LOOPBACK}:{self.port}"

    def cookie(self, name: str = "admin") -> dict[str, str]:
        """The header of a browser that is signed in."""
        token = self.authority.sign_in(name, PASSWORD, Client(LOOPBACK))
        assert isinstance(token, str)
        return {"Cookie": f"emitrace_session={token}"}

    def raw(self, head: str, *chunks: bytes) -> str:
        """The first line of the answer to bytes written as they are."""
        with socket.create_connection((LOOPBACK, self.port), timeout=10) as connection:
            connection.sendall(head.replace("\n", "\r\n").encode())
            for chunk in chunks:
                connection.sendall(chunk)
            return connection.makefile().readline().strip()


def routes_of(served: Served) -> APIRouter:
    """A stream, a form, a body that is read, and a route whose author forgot to say what it needs."""
    router = APIRouter()

    async def ticks() -> AsyncIterator[str]:
        try:
            for number in range(10_000):
                yield f"data: {number}\n\n"
                await anyio.sleep(0.02)
        finally:
            served.left.set()

    @router.get("/stream")
    @needs(Permission.READ)
    async def stream() -> Response:
        return StreamingResponse(ticks(), media_type="text/event-stream")

    @router.post("/form")
    @needs(Permission.READ)
    async def form(request: Request) -> Response:
        fields = await request.form()
        return PlainTextResponse(str(fields["text"]))

    @router.post("/api/length")
    @needs(Permission.READ)
    async def length(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    @router.api_route("/forgotten", methods=["GET", "POST"])
    async def forgotten() -> Response:
        served.ran.append("forgotten")
        return PlainTextResponse("done")

    return router


@pytest.fixture
def served(books: Books) -> Iterator[Served]:
    """The application, listening."""
    register = Register(books.database)
    register.add("admin", Role.ADMIN, PASSWORD, by="test")
    authority = Authority(books.database, Lifetime(3_600_000, 3_600_000), lambda: 0.0)
    one = Served(free_port(), authority, register)
    router, app = routes_of(one), FastAPI(openapi_url=None)
    app.include_router(router)

    @app.get("/unlisted")
    def unlisted() -> str:
        one.ran.append("unlisted")
        return "done"

    def say(_request: Request, status: int, why: str) -> Response:
        return PlainTextResponse(why, status)

    gate = Gate(app, authority, router.routes, say, https=False, recheck_s=RECHECK_S)
    server = uvicorn.Server(uvicorn.Config(gate, host=LOOPBACK, port=one.port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, 10, "the server to listen")
    yield one
    server.should_exit = True
    thread.join(20)


def test_what_declares_nothing_is_refused_before_it_runs(served: Served) -> None:
    """A route without a permission, or one the gate was never told of, does not run even for an administrator."""
    basic = ("admin", PASSWORD)
    answers = [
        httpx.get(f"{served.address}/forgotten", auth=basic),
        httpx.post(f"{served.address}/forgotten", auth=basic),
        httpx.get(f"{served.address}/unlisted", auth=basic),
        httpx.get(f"{served.address}/form", auth=basic),
    ]

    assert [403, 403, 404, 405] == [answer.status_code for answer in answers]
    assert [] == served.ran


def test_every_answer_has_the_headers_that_protect_it(served: Served) -> None:
    """A page of ours may load and ask only this host; refusals, streams and errors of all kinds carry the same."""
    csp = HEADERS["Content-Security-Policy"]
    answers = [
        httpx.get(f"{served.address}/stream"),
        httpx.get(f"{served.address}/nothing", headers=served.cookie()),
        httpx.post(f"{served.address}/form", headers=served.cookie()),
        httpx.post(f"{served.address}/api/length", content=b"x" * (LARGEST_BODY + 1)),
    ]
    with httpx.stream("GET", f"{served.address}/stream", headers=served.cookie()) as stream:
        answers.append(stream)

    assert [303, 404, 403, 413, 200] == [answer.status_code for answer in answers]
    for answer in answers:
        assert set(HEADERS.items()) <= {(name, answer.headers.get(name)) for name in HEADERS}
        assert "no-store" == answer.headers["Cache-Control"]
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(csp.split("; "))
    assert "unsafe" not in csp


def test_a_stream_comes_through_and_a_leaving_client_is_seen(served: Served) -> None:
    """Events arrive one by one as they are sent; when the client goes, the program behind hears of it."""
    with httpx.stream("GET", f"{served.address}/stream", headers=served.cookie(), timeout=10) as stream:
        lines = stream.iter_lines()
        first = [line for line, _ in zip(lines, range(5), strict=False) if line]
        assert not served.left.is_set()

    assert ["data: 0", "data: 1", "data: 2"] == first
    assert served.left.wait(10)


@pytest.mark.parametrize(
    "end",
    [
        lambda register: register.sign_out("wang", by="test"),
        lambda register: register.set_enabled("wang", False, by="test"),
        lambda register: register.remove("wang", by="test"),
    ],
    ids=["sign-out", "disable", "remove"],
)
def test_a_stream_ends_with_its_session(served: Served, end: Callable[[Register], object]) -> None:
    """A page that is open while its session ends gets nothing more after a moment, and a whole answer up to there."""
    served.register.add("wang", Role.TECHNICIAN, PASSWORD, by="test")
    with httpx.stream("GET", f"{served.address}/stream", headers=served.cookie("wang"), timeout=10) as stream:
        lines = stream.iter_lines()
        assert "data: 0" == next(lines)
        end(served.register)
        rest = [line for line in lines if line]

    assert served.left.wait(10)
    assert len(rest) < 1000


def test_a_form_is_read_twice_and_arrives_whole(served: Served) -> None:
    """The gate reads the token out of a form of either kind; the page still gets every field."""
    headers = served.cookie()
    session = served.authority.session(headers["Cookie"].partition("=")[2])
    assert session is not None
    fields = {"csrf": session.csrf, "text": "锅炉房" * 100}
    plain = httpx.post(f"{served.address}/form", data=fields, headers=headers)
    parts = httpx.post(f"{served.address}/form", data=fields, files={"file": b"x" * 1000}, headers=headers)
    header = httpx.post(
        f"{served.address}/form", data={"text": "by header"}, headers=headers | {"X-CSRF-Token": session.csrf}
    )

    assert [fields["text"], fields["text"], "by header"] == [answer.text for answer in (plain, parts, header)]


def test_a_body_is_counted_whatever_it_says_of_its_length(served: Served) -> None:
    """In chunks, without a length, or with a wrong one: past the limit it is refused, up to it it is taken."""
    script = {"auth": ("admin", PASSWORD)}

    def chunks(size: int) -> Iterator[bytes]:
        for _ in range(size // 1024):
            yield b"x" * 1024

    taken = httpx.post(f"{served.address}/api/length", content=chunks(LARGEST_BODY), **script)  # type: ignore[arg-type]
    refused = httpx.post(f"{served.address}/api/length", content=chunks(LARGEST_BODY + 1024), **script)  # type: ignore[arg-type]
    form = httpx.post(
        f"{served.address}/form",
        content=chunks(LARGEST_BODY + 1024),
        headers=served.cookie() | {"Content-Type": "application/x-www-form-urlencoded"},
    )
    said = served.raw(f"POST /api/length HTTP/1.1\nHost: x\nContent-Length: {LARGEST_BODY + 1}\n\n")
    absurd = served.raw(f"POST /api/length HTTP/1.1\nHost: x\nContent-Length: {'9' * 5000}\n\n")

    assert (200, str(LARGEST_BODY)) == (taken.status_code, taken.text)
    assert (413, 413) == (refused.status_code, form.status_code)
    assert ("HTTP/1.1 413", True) == (said[:12], absurd[:10] == "HTTP/1.1 4")
