"""The ways by which somebody is told, as the configuration gives them."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.client import HTTPException
from zoneinfo import ZoneInfo

from collector.alerts.mail import send_mail
from collector.alerts.news import News
from collector.alerts.webhook import send_webhook
from collector.config import AlertsTable, Config
from protocols.errors import EmitraceError

UNSENT = (OSError, smtplib.SMTPException, HTTPException, ValueError)
"""What a way may raise; it is tried again."""


@dataclass(frozen=True, slots=True)
class Way:
    """``mail`` or ``webhook``, to whom, and how to send."""

    name: str
    to: str
    send: Callable[[News], None]


def ways_of(config: Config) -> tuple[Way, ...]:
    """Every way that is configured; EmitraceError where one is only half."""
    mail, hook = config.settings.alerts.mail, config.settings.alerts.webhook
    password, secret = config.alert_secrets()
    found: list[Way] = []
    if mail.to:
        if "@" not in mail.sender:
            raise EmitraceError("[alerts.mail] sender", repr(mail.sender), "Name the address that mails come from.")
        ca = None if mail.ca is None else config.resolve(mail.ca)
        found.append(Way("mail", ", ".join(mail.to), partial(send_mail, table=mail, password=password, ca=ca)))
    if hook.url:
        ca = None if hook.ca is None else config.resolve(hook.ca)
        host = hook.url.split("/")[2]
        found.append(Way("webhook", host, partial(send_webhook, table=hook, secret=secret, ca=ca)))
    return tuple(found)


def is_quiet(rules: AlertsTable, now_ms: int) -> bool:
    """Whether the hour is one in which only what cannot wait is told; the span may pass midnight."""
    if rules.quiet_from is None or rules.quiet_to is None:
        return False
    clock = f"{datetime.fromtimestamp(now_ms / 1000, ZoneInfo(rules.zone)):%H:%M}"
    if rules.quiet_from <= rules.quiet_to:
        return rules.quiet_from <= clock < rules.quiet_to
    return clock >= rules.quiet_from or clock < rules.quiet_to
