"""Where an agent asks to be enrolled: with no account, but with a token, a signature, and a brake on guessing."""

from __future__ import annotations

import base64
import time
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from collector.accounts.brake import Brake, place_of
from collector.accounts.roles import Permission
from collector.api.gate import client_of, needs, problem, retry_after
from collector.books import Books
from collector.enrolling import answer_request
from collector.store.enrolments import TokenRefusedError
from protocols.enrolment import LARGEST_REQUEST, read_request
from protocols.errors import EmitraceError


class Asked(BaseModel):
    """The agent's signed request (COSE_Sign1, ``enrolment-request`` in schema.cddl), base64."""

    model_config = ConfigDict(extra="forbid")

    request: Annotated[str, Field(max_length=2 * LARGEST_REQUEST)]


class Told(BaseModel):
    """The collector's signed answer (``enrolment-answer``), base64."""

    answer: str


def enrolment_router(books: Books) -> APIRouter:
    """The one route."""
    router = APIRouter(prefix="/api/v1", tags=["enrolment"])
    brake = Brake(time.monotonic, free=5, longest_s=300.0, forget_s=3600.0)

    @router.post("/enrolments", response_model=Told)
    @needs(Permission.PUBLIC)
    def ask(request: Request, asked: Asked) -> Told | Response:
        """Ask to be enrolled, or how far it has come; the token in the request is what lets an agent in."""
        address = client_of(request).address
        place = place_of(address)
        if (wait_s := brake.wait_s(place)) > 0:
            refused = problem(429, "too many requests that were refused", f"Try again in {int(wait_s) + 1} s.")
            return retry_after(refused, wait_s)
        try:
            wanted = read_request(base64.b64decode(asked.request, validate=True))
            answer = answer_request(books, wanted, address)
        except (TokenRefusedError, ValueError, EmitraceError) as error:  # ValueError: no base64
            if isinstance(error, TokenRefusedError):
                brake.failed(place)
                return problem(403, f"{error.subject} {error.seen}", error.hint)
            brake.failed(place)
            return problem(422, f"no request: {error}", "Use emitrace-agent enroll.")
        return Told(answer=base64.b64encode(answer).decode("ascii"))

    return router
