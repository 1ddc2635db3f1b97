"""A POST to another program: to the address configured and no other, and nothing endless comes back."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

TIMEOUT_S = 20.0


def post(url: str, body: bytes, headers: Mapping[str, str], *, most: int, ca: Path | None = None) -> bytes:
    """What answers, at most so many bytes; OSError (urllib's errors are) where it is not 2xx.

    A redirect is not followed: another address than the one configured gets nothing.
    """
    told = {"User-Agent": "emitrace-collector", **headers}
    request = Request(url, body, told, method="POST")  # noqa: S310 - the configuration allows http(s) alone
    tls = HTTPSHandler(context=ssl.create_default_context(cafile=ca))
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), tls, HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        data: bytes = answer.read(most)
    return data
