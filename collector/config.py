"""collector.toml: where the books lie, where the broker is, where the pages are served.

Paths are relative to the file. Secrets are named as files, never written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from protocols.errors import EmitraceError
from protocols.toml import read_toml, validate

LOG_KEY = "log.key"
"""The key of the evidence log, in ``state_dir``: another one than the collector's, which signs messages."""
Port = Annotated[int, Field(ge=1, le=65535)]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("no such time zone: write it as Asia/Shanghai")
    return name


class Table(BaseModel):
    """Base of every table: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyTable(Table):
    """The collector's own signing key, made at first start."""

    file: str = "collector.key"


class DatabaseTable(Table):
    """Where the books are; empty means ``books.sqlite`` in ``state_dir``. A server's password is in a file."""

    url: str = ""
    password_file: str | None = None


class BrokerTable(Table):
    """The MQTT broker; TLS where ``tls_ca`` names the file of its CA."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 1883
    client_id: Annotated[str, Field(min_length=1, max_length=64)] = "emitrace-collector"
    username: str | None = None
    password_file: str | None = None
    tls_ca: str | None = None


class WebTable(Table):
    """Where API and pages are served, for how long a sign-in lasts; ``https`` where a proxy ends TLS in front."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    https: bool = False
    session_hours: Annotated[int, Field(ge=1, le=168)] = 12
    idle_minutes: Annotated[int, Field(ge=15, le=1440)] = 120


class EnrolmentTable(Table):
    """What invitations of agents say: where they reach this collector and the broker, where not as it does itself.

    ``certificate`` is the PEM file of the certificate that ``url`` shows, which agents then demand; ``accounts`` the
    broker's password file, where it is to be kept while the collector runs.
    """

    url: Annotated[str, Field(pattern=r"^(https?://[^\s#?@]+)?$", max_length=200)] = ""
    certificate: str | None = None
    broker_host: Annotated[str, Field(max_length=255)] = ""
    broker_port: Annotated[int, Field(ge=0, le=65535)] = 0
    broker_ca: str | None = None
    accounts: str | None = None


class InventoryTable(Table):
    """Which accounting profile hours and inventories follow."""

    profile: str = "iso14064-1-default"


class BundlesTable(Table):
    """How long bundles asked for over HTTP stay on disk to be fetched, and how much room they may take together."""

    keep_hours: Annotated[int, Field(ge=1, le=720)] = 24
    most_gb: Annotated[float, Field(gt=0, le=100_000)] = 20.0


Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Zone = Annotated[str, AfterValidator(_known_zone)]


class MailTable(Table):
    """Alerts by e-mail, where ``to`` names somebody."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = ""
    to: tuple[str, ...] = ()
    username: str | None = None
    password_file: str | None = None
    ca: str | None = None


class WebhookTable(Table):
    """Alerts to another program, where ``url`` is given; signed where a secret is."""

    url: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")] = ""
    secret_file: str | None = None
    ca: str | None = None


class AlertsTable(Table):
    """When somebody is told of what; between ``quiet_from`` and ``quiet_to`` only what cannot wait."""

    silent_minutes: Annotated[int, Field(ge=1, le=100_000)] = 60
    gap_minutes: Annotated[int, Field(ge=1, le=100_000)] = 15
    due_days: Annotated[int, Field(ge=0, le=90)] = 30
    disk_free_gib: Annotated[float, Field(ge=0, le=100_000)] = 1.0
    remind_hours: Annotated[int, Field(ge=1, le=1000)] = 24
    quiet_from: Clock | None = None
    quiet_to: Clock | None = None
    zone: Zone = "UTC"
    link: Annotated[str, Field(pattern=r"^(https?://[^\s]+)?$")] = ""
    mail: MailTable = MailTable()
    webhook: WebhookTable = WebhookTable()


class TransparencyTable(Table):
    """How often the evidence log is signed while it grows, and who stamps each checkpoint with the time, if anybody.

    At every seal it is signed anyway.
    """

    checkpoint_s: Annotated[int, Field(ge=1, le=3600)] = 3600
    timestamp_url: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")] = ""


class LogTable(Table):
    """How much the service says, and how: lines for people, or one JSON object each for programs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(Table):
    """The whole file."""

    state_dir: str = "state"
    key: KeyTable = KeyTable()
    database: DatabaseTable = DatabaseTable()
    broker: BrokerTable = BrokerTable()
    web: WebTable = WebTable()
    enrolment: EnrolmentTable = EnrolmentTable()
    inventory: InventoryTable = InventoryTable()
    bundles: BundlesTable = BundlesTable()
    alerts: AlertsTable = AlertsTable()
    transparency: TransparencyTable = TransparencyTable()
    log: LogTable = LogTable()


@dataclass(frozen=True, slots=True)
class Config:
    """The settings with every path resolved against the file that names them."""

    file: Path
    settings: Settings

    @property
    def state_dir(self) -> Path:
        """Where key and books live."""
        return self.resolve(self.settings.state_dir)

    @property
    def key_file(self) -> Path:
        """The collector's private key; a bare name lies in ``state_dir``."""
        return (self.state_dir / self.settings.key.file).resolve()

    @property
    def log_key_file(self) -> Path:
        """The private key of the evidence log."""
        return self.state_dir / LOG_KEY

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the books."""
        return self.settings.database.url or f"sqlite:///{self.state_dir / 'books.sqlite'}"

    @property
    def tls_ca(self) -> Path | None:
        """CA that signed the broker's certificate."""
        name = self.settings.broker.tls_ca
        return None if name is None else self.resolve(name)

    def broker_password(self) -> str | None:
        """The first line of the password file."""
        return self.secret(self.settings.broker.password_file, "[broker] password_file")

    def alert_secrets(self) -> tuple[str | None, str | None]:
        """Password of the mail account, secret of the webhook."""
        mail, hook = self.settings.alerts.mail, self.settings.alerts.webhook
        return (
            self.secret(mail.password_file, "[alerts.mail] password_file"),
            self.secret(hook.secret_file, "[alerts.webhook] secret_file"),
        )

    def secret(self, name: str | None, subject: str) -> str | None:
        """The first line of a file that the configuration names; None where it names none."""
        return None if name is None else first_line(self.resolve(name), subject)

    def database_password(self) -> str | None:
        """The first line of the password file of the database."""
        name = self.settings.database.password_file
        return None if name is None else first_line(self.resolve(name), "[database] password_file")

    def resolve(self, name: str) -> Path:
        """A path of the file, absolute."""
        return (self.file.parent / name).resolve()


def first_line(path: Path, subject: str) -> str:
    """The first line of a file that holds a secret."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EmitraceError(subject, f"{path}: {error}", "Name a readable text file with the secret in it.") from error
    if not lines or not lines[0]:
        raise EmitraceError(subject, f"{path} has an empty first line", "Write the secret on its first line.")
    return lines[0]


def load_config(path: Path) -> Config:
    """Read collector.toml; InputErrors naming every problem with its line."""
    return Config(path.resolve(), validate(read_toml(path), Settings))
