"""What may be asked at the desk: one JSON object a line; whatever is not described here is refused. Pure."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter
from pydantic import ValidationError as _Invalid

from protocols.errors import EmitraceError

MOST_BYTES = 65_536
"""Of a line, either way."""
MOST_TRACE_S = 3_600.0


class DeskError(EmitraceError):
    """The desk cannot do what was asked; ``zh`` says so in Chinese, where a page may show it."""

    def __init__(self, subject: str, seen: str, hint: str = "", *, zh: str = "") -> None:
        super().__init__(subject, seen, hint)
        self.zh = zh

    def said(self, language: str) -> str:
        """The whole in a language, zh or en."""
        return self.zh if self.zh and language == "zh" else str(self)


class _Ask(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Unit = Annotated[int, Field(ge=0, le=255, strict=True)]
"""247 is the last one of the standard; gateways use those above for themselves."""
BusName = Annotated[str, Field(min_length=1, max_length=64)]


class StatusAsk(_Ask):
    """How the agent goes."""

    do: Literal["status"] = "status"


class ReadAsk(_Ask):
    """Read registers (functions 3 and 4) or bits (1 and 2) of a unit."""

    do: Literal["read"] = "read"
    bus: BusName
    unit: Unit
    function: Annotated[int, Field(ge=1, le=4, strict=True)]
    address: Annotated[int, Field(ge=0, le=65_535, strict=True)]
    count: Annotated[int, Field(ge=1, le=125, strict=True)] = 1


class IdentifyAsk(_Ask):
    """Ask a unit who it is, by function 43/14 or by function 17."""

    do: Literal["identify"] = "identify"
    bus: BusName
    unit: Unit
    by: Literal["identification", "server-id"] = "identification"


class ReportAsk(_Ask):
    """What each unit answered since the buses were opened."""

    do: Literal["report"] = "report"


class ValuesAsk(_Ask):
    """The newest value of every point."""

    do: Literal["values"] = "values"


class TraceAsk(_Ask):
    """Every frame of a bus for some time."""

    do: Literal["trace"] = "trace"
    bus: BusName
    for_s: Annotated[float, Field(gt=0, le=MOST_TRACE_S)] = 60.0


Detail = tuple[
    Annotated[str, Field(min_length=1, max_length=64)],
    StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=500)],
]


class NoteAsk(_Ask):
    """Take an event into the signed stream."""

    do: Literal["note"] = "note"
    kind: Literal["commissioning", "meter_swap", "operating_stop"]
    subject: Annotated[str, Field(max_length=64)]
    details: Annotated[tuple[Detail, ...], Field(max_length=32)] = ()


Ask: TypeAlias = StatusAsk | ReadAsk | IdentifyAsk | ReportAsk | ValuesAsk | TraceAsk | NoteAsk
_ANY: TypeAdapter[Ask] = TypeAdapter(Annotated[Ask, Field(discriminator="do")])


def open_ask(line: bytes) -> Ask:
    """The question on a line; DeskError saying what is wrong with it."""
    try:
        return _ANY.validate_json(line)
    except _Invalid as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(one) for one in first["loc"])
        raise DeskError("question", f"{place}: {first['msg']}" if place else first["msg"], "see agent.desk") from error


def line_of(told: dict[str, Any]) -> bytes:
    """An object as its line."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
