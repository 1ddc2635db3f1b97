"""`emitrace-verify BUNDLE [--trust FINGERPRINT]... [--json]`."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from collector.evidence.verify.steps import verify_bundle
from collector.evidence.verify.text import as_json, as_text

USAGE = 2


def fingerprint_argument(text: str) -> str:
    """64 hexadecimal digits, with or without colons, in either case."""
    plain = text.replace(":", "").strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fingerprint of 64 hexadecimal digits")
    return plain


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="emitrace-verify",
        description="Take an evidence bundle apart and re-perform it, offline, trusting nobody. / 离线复核证据包。",
        epilog="Exit codes: 0 consistent with the anchors held, 1 contradicts, 2 usage, 4 origin not established.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle, a zip file")
    parser.add_argument(
        "--trust", action="append", default=[], type=fingerprint_argument, metavar="FINGERPRINT",
        help="SHA-256 of a raw public key that you hold from elsewhere; repeat for each agent and the collector",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Verify and exit with the verdict's code."""
    options = build_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    try:
        with options.bundle.open("rb") as file:
            report = verify_bundle(file, options.trust)
    except OSError as error:
        sys.stderr.write(f"{options.bundle}: cannot be read: {error.strerror}. Check the path.\n")
        raise SystemExit(USAGE) from error
    if options.json:
        sys.stdout.write(as_json(report, options.bundle.name) + "\n")
    else:
        sys.stdout.write("\n".join(as_text(report, options.bundle.name)) + "\n")
    raise SystemExit(report.verdict.value)


if __name__ == "__main__":
    main()
