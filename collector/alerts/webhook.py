"""News to another program: JSON by POST, with an HMAC of the body so that it knows who speaks."""

from __future__ import annotations

import hashlib
import hmac
import ssl
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

from collector.alerts.news import News
from collector.config import WebhookTable

TIMEOUT_S = 20.0
SIGNATURE = "X-Emitrace-Signature"


def signature(secret: str, body: bytes) -> str:
    """What ``X-Emitrace-Signature`` says: HMAC-SHA-256 of the body under the shared secret, in hex."""
    return f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"


def send_webhook(news: News, table: WebhookTable, secret: str | None, ca: Path | None) -> None:
    """Post a message; OSError (urllib's errors are) where the address does not answer with 2xx."""
    body = news.document()
    headers = {"Content-Type": "application/json", "User-Agent": "emitrace-collector"}
    if secret is not None:
        headers[SIGNATURE] = signature(secret, body)
    request = Request(table.url, body, headers, method="POST")  # noqa: S310 - the configuration allows http(s) alone
    tls = HTTPSHandler(context=ssl.create_default_context(cafile=ca))
    opener = OpenerDirector()  # without a handler of redirects: another address than the one configured gets nothing
    for handler in (ProxyHandler(), HTTPHandler(), tls, HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        answer.read(1024)
