"""The broker as agent.toml names it, with its password, which no log ever shows."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config
from agent.log import keep_secret
from protocols.errors import EmitraceError


class BrokerError(EmitraceError):
    """The broker cannot be entered as configured."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how it is entered."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls_ca: Path | None = None


def broker_of(config: Config) -> Broker:
    """The broker with its password, which is kept out of the log from here on."""
    table, password = config.settings.broker, None
    if config.password_file is not None:
        subject = f"broker password {config.password_file}"
        try:
            password = next(iter(config.password_file.read_text(encoding="utf-8-sig").splitlines()), "")
        except OSError as error:
            seen = f"cannot be read: {error.strerror}"
            raise BrokerError(subject, seen, "check the path, and that the agent's user owns the file") from error
        except UnicodeDecodeError as error:
            raise BrokerError(subject, "is not UTF-8", "save the file as UTF-8") from error
        if not password:
            raise BrokerError(subject, "the first line is empty", "put the password there")
        keep_secret(password)
    if config.tls_ca is not None:
        try:
            ssl.create_default_context(cafile=str(config.tls_ca))
        except OSError as error:
            seen = f"not a usable CA certificate: {error}"
            raise BrokerError(f"broker tls_ca {config.tls_ca}", seen, "name a PEM file") from error
    return Broker(table.host, table.port, table.username, password, config.tls_ca)
