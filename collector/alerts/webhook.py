"""News to another program: JSON by POST, with an HMAC of the body so that it knows who speaks."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from collector.alerts.news import News
from collector.config import WebhookTable
from collector.posting import post

SIGNATURE = "X-Emitrace-Signature"


def signature(secret: str, body: bytes) -> str:
    """What ``X-Emitrace-Signature`` says: HMAC-SHA-256 of the body under the shared secret, in hex."""
    return f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"


def send_webhook(news: News, table: WebhookTable, secret: str | None, ca: Path | None) -> None:
    """Post a message; OSError (urllib's errors are) where the address does not answer with 2xx."""
    body = news.document()
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        headers[SIGNATURE] = signature(secret, body)
    post(table.url, body, headers, most=1024, ca=ca)
