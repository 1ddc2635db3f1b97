"""News by e-mail, over TLS unless the configuration says that the server is next door."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from pathlib import Path

from collector.alerts.news import News
from collector.config import MailTable

TIMEOUT_S = 20.0


def send_mail(news: News, table: MailTable, password: str | None, ca: Path | None) -> None:
    """Hand a message to the mail server; OSError or smtplib.SMTPException where it does not take it."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = news.subject()
    message["From"] = table.sender
    message["To"] = ", ".join(table.to)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=table.sender.rpartition("@")[2] or None)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence notes in answer
    message.set_content(news.text())
    with _connected(table, ca) as server:
        if table.username is not None:
            server.login(table.username, password or "")
        server.send_message(message, table.sender, table.to)


def _connected(table: MailTable, ca: Path | None) -> smtplib.SMTP:
    if table.security == "none":
        return smtplib.SMTP(table.host, table.port, timeout=TIMEOUT_S)
    context = ssl.create_default_context(cafile=ca)
    if table.security == "tls":
        return smtplib.SMTP_SSL(table.host, table.port, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(table.host, table.port, timeout=TIMEOUT_S)
    try:
        server.starttls(context=context)
    except (OSError, smtplib.SMTPException):
        server.close()
        raise
    return server
