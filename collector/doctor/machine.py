"""Files, folder, disk, TLS authority and the pages' port, as this user finds them on this machine."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509

from collector.config import Config
from collector.doctor.results import Result
from collector.inventory.profile import load_profile
from collector.lock import is_held
from protocols.errors import EmitraceError
from protocols.wire.keys import fingerprint, load_key, public_bytes

LEAST_FREE = 1 << 30
ENDS_SOON = timedelta(days=30)


def look_at_files(config: Config) -> Iterator[Result]:
    """Profile, key, password file and TLS authority."""
    try:
        profile, _ = load_profile(config.settings.inventory.profile)
        yield Result("profile", "[inventory] profile", f"{profile.id} {profile.version}")
    except EmitraceError as error:
        yield Result("profile", error.subject, error.seen, error.hint or "Name a profile that comes with the program.")
    yield _key(config)
    name = config.settings.broker.password_file
    if name is not None:
        yield _password(config, config.resolve(name))
    if config.tls_ca is not None:
        yield _authority(config.tls_ca)


def look_at_folder(config: Config) -> Iterator[Result]:
    """Owner, permissions and free space of the state folder."""
    folder = config.state_dir
    if not folder.is_dir():
        yield Result("state folder", str(folder), "is not there", "Run emitrace-collector key, which makes it.")
        return
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield Result("state folder", str(folder), f"mode {mode:04o} lets others in", f"chmod 700 {folder}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        hint = f"Run this as the owner (uid {status.st_uid}), or give the folder to the service's user."
        yield Result("state folder", str(folder), f"uid {os.geteuid()} may not write there", hint)
    else:
        yield Result("state folder", str(folder), f"mode {mode:04o}, uid {status.st_uid}")
    foreign = sorted(p.name for p in folder.iterdir() if p.is_file() and p.stat().st_uid != status.st_uid)
    if foreign:
        hint = f"A command ran as another user: chown {status.st_uid} these files, and use sudo -u."
        yield Result("state folder", str(folder), f"{', '.join(foreign[:5])}: other owner than the folder", hint)
    disk = shutil.disk_usage(folder)
    seen = f"{disk.free / (1 << 30):.1f} GiB free of {disk.total / (1 << 30):.1f} GiB"
    short = disk.free < LEAST_FREE
    yield Result("free space", str(folder), seen, "Free space or move the folder to a larger disk." if short else "")


def look_at_service(config: Config) -> Iterator[Result]:
    """Whether ``serve`` runs on this folder and answers at its address."""
    web = config.settings.web
    where = f"{web.host}:{web.port}"
    if not is_held(config.state_dir):
        yield Result("service", str(config.state_dir), "serve is not running", "systemctl start emitrace-collector")
    else:
        yield Result("service", str(config.state_dir), "serve is running")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)
    connection = http.client.HTTPConnection(host, web.port, timeout=10)
    try:
        connection.request("GET", "/api/v1/health")
        status = connection.getresponse().status
        hint = "" if status == 200 else "Something else listens there: choose another [web] port."
        yield Result("pages", where, f"answers with status {status}", hint)
    except (OSError, http.client.HTTPException) as error:
        yield Result("pages", where, f"no answer: {error}", "Start serve; look into its log.")
    finally:
        connection.close()
    if not web.https and not _is_loopback(web.host):
        hint = "Bind to 127.0.0.1, put a TLS proxy in front, and set [web] https = true."
        yield Result("pages", where, "passwords would travel in the clear: not loopback, and https is false", hint)


def is_clear_text(config: Config) -> bool:
    """Whether the broker's password travels unprotected."""
    broker = config.settings.broker
    return broker.username is not None and config.tls_ca is None and not _is_loopback(broker.host)


def _key(config: Config) -> Result:
    where = str(config.key_file)
    try:
        return Result("key", where, f"fingerprint {fingerprint(public_bytes(load_key(config.key_file)))}")
    except EmitraceError as error:
        return Result("key", where, error.seen, error.hint or "Restore it from your copy.")


def _password(config: Config, path: Path) -> Result:
    try:
        config.broker_password()
        mode = stat.S_IMODE(path.stat().st_mode)
    except (EmitraceError, OSError) as error:
        seen = error.seen if isinstance(error, EmitraceError) else str(error)
        return Result("password file", str(path), seen, "Write the password on its first line, mode 0600.")
    hint = f"chmod 600 {path}" if mode & 0o077 else ""
    return Result("password file", str(path), f"mode {mode:04o}", hint)


def _authority(path: Path) -> Result:
    """The CA file loads, and none of its certificates has ended or ends soon."""
    try:
        ssl.create_default_context(cafile=str(path))
        ends = min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        return Result("TLS authority", str(path), str(error), "Name the PEM file of the CA that signed the broker.")
    soon = ends < datetime.now(UTC) + ENDS_SOON
    hint = "Get the broker a certificate of a newer CA, and name that CA here." if soon else ""
    return Result("TLS authority", str(path), f"valid until {ends:%Y-%m-%d}", hint)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
