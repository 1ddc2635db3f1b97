"""`emitrace-verify fetch`: the options, the secret, the connection, and a line of progress."""

from __future__ import annotations

import argparse
import http.client
import ipaddress
import os
import ssl
import stat
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import SplitResult, urlencode, urlsplit

from collector.evidence.verify.fetch import Connect, RefusedError, Source, fetch
from protocols.errors import EmitraceError

USAGE, ENVIRONMENT = 2, 3
VARIABLE = "EMITRACE_TOKEN"


def build_parser() -> argparse.ArgumentParser:
    """The arguments of fetch."""
    parser = argparse.ArgumentParser(
        prog="emitrace-verify fetch",
        description="Pull a bundle from a collector, read-only; goes on after a cut connection."
        " / 从收集端只读下载证据包，可断点续传。",
        epilog=f"The secret comes from --token-file, or from {VARIABLE} in the environment; ps shows command lines.",
    )
    add = parser.add_argument
    add("--collector", required=True, metavar="URL", help="address of the collector, https://...")
    add("--token-file", type=Path, metavar="FILE", help="file with an API token, or with ACCOUNT:PASSWORD; chmod 600")
    add("--out", type=Path, required=True, metavar="FILE", help="where the bundle goes")
    add("--from", dest="from_", type=instant, required=True, metavar="TIME", help="start, ISO 8601 with its offset")
    add("--to", type=instant, required=True, metavar="TIME", help="end, exclusive, ISO 8601 with its offset")
    add("--agent", action="append", default=[], metavar="ID", help="only this agent, by its whole id; repeat for more")
    add("--source", action="append", default=[], metavar="ID", help="only this source; repeat for more")
    add("--gas", action="append", default=[], metavar="GAS", help="only this gas; repeat for more")
    add("--whole-log", action="store_true", help="show the whole log in a partial bundle")
    add("--gwp", metavar="SET", help="GWP set of the inventory, such as AR6; the profile's own where left out")
    add("--ca", type=Path, metavar="FILE", help="CA that signed the collector's certificate, where it is a private one")
    add("--insecure-http", action="store_true", help="send the secret over plain http to a host other than this one")
    return parser


def instant(text: str) -> int:
    """An instant with its offset from UTC. [UTC ms]"""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time as 2026-01-31T08:00+08:00") from error
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset; write 2026-01-31T08:00+08:00 or ...Z")
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def main(arguments: Sequence[str]) -> int:
    """Fetch; the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        url = checked_url(options.collector, insecure=options.insecure_http)
        authorization = authorization_of(options.token_file, os.environ)
        pairs = [("from_ms", options.from_), ("to_ms", options.to)]
        pairs += [(name, one) for name in ("agent", "source", "gas") for one in getattr(options, name)]
        pairs += [("gwp_set", options.gwp)] * bool(options.gwp) + [("whole_log", "true")] * options.whole_log
        path = f"{url.path.rstrip('/')}/api/v1/bundle?{urlencode(pairs)}"
        digest = fetch(Source(connector(url, options.ca), path, authorization), options.out, _say)
    except EmitraceError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE if isinstance(error, RefusedError) else ENVIRONMENT
    except OSError as error:
        sys.stderr.write(f"{options.out}: {error}. Check the folder and its permissions.\n")
        return ENVIRONMENT
    sys.stdout.write(f"{options.out}: {options.out.stat().st_size} bytes, SHA-256 {digest}\n")
    sys.stdout.write(f"Now verify it: emitrace-verify {options.out} --trust FINGERPRINT ...\n")
    return 0


def checked_url(text: str, *, insecure: bool) -> SplitResult:
    """The collector's address; plain http only to this machine, unless somebody insists."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise RefusedError("--collector", repr(text), "Write it as https://collector.example.")
    if url.username is not None:
        raise RefusedError("--collector", "holds an account", f"Put it into --token-file or {VARIABLE}.")
    if url.scheme == "http" and not insecure and not _is_loopback(url.hostname):
        hint = "Use https, or --insecure-http where the network between is yours alone."
        raise RefusedError("--collector", f"{url.hostname} over plain http would see the secret", hint)
    return url


def authorization_of(file: Path | None, environment: Mapping[str, str]) -> str:
    """The header that says who asks: a token as Bearer, ACCOUNT:PASSWORD as Basic."""
    secret = environment.get(VARIABLE, "") if file is None else _read_secret(file)
    secret = secret.strip()
    where = VARIABLE if file is None else str(file)
    if not secret.isprintable() or not secret or (":" not in secret and not secret.isascii()):
        raise RefusedError(where, "holds no token", f"Name --token-file FILE, or set {VARIABLE}.")
    if ":" in secret:
        return f"Basic {b64encode(secret.encode('utf-8')).decode('ascii')}"
    return f"Bearer {secret}"


def connector(url: SplitResult, authority: Path | None) -> Connect:
    """How to connect; TLS is checked against the system's CAs, or against the one named."""
    host = url.hostname or ""
    if url.scheme == "http":
        return lambda limit_s: http.client.HTTPConnection(host, url.port, timeout=limit_s)
    try:
        context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    except (OSError, ssl.SSLError) as error:
        raise RefusedError(f"--ca {authority}", str(error), "Name a PEM file.") from error
    return lambda limit_s: http.client.HTTPSConnection(host, url.port, timeout=limit_s, context=context)


def _read_secret(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise RefusedError(str(file), "others may read it", f"chmod 600 {file}")
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(str(file), f"cannot be read: {error}", "Name a text file with the token.") from error
    return lines[0] if lines else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == whole else ""
        sys.stderr.write(f"\r{done * 100 // max(1, whole):3d} %  {done / 1e6:,.0f} of {whole / 1e6:,.0f} MB{end}")
        sys.stderr.flush()
