"""`emitrace-verify BUNDLE [--trust FINGERPRINT]... [--report FILE]...`, or `fetch`, `readings`, `proof`."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from cryptography import x509

from collector.evidence.stamps import NEEDED, StampError, is_available, read_roots
from collector.evidence.verify import fetch_command, proof_command, readings_command
from collector.evidence.verify.document import as_json, schema
from collector.evidence.verify.page import as_html
from collector.evidence.verify.progress import opened
from collector.evidence.verify.report import Report
from collector.evidence.verify.steps import verify_bundle
from collector.evidence.verify.text import as_text
from protocols.transparency.checkpoint import Checkpoint, read_checkpoint
from protocols.transparency.note import NOTE_BYTES, NoteError, NoteKey, open_note, read_key

USAGE = 2
COMMANDS = {"fetch": fetch_command.main, "readings": readings_command.main, "proof": proof_command.main}
_FORMS = (".html", ".json", ".txt")


def fingerprint_argument(text: str) -> str:
    """64 hexadecimal digits, with or without colons, in either case."""
    plain = text.replace(":", "").strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fingerprint of 64 hexadecimal digits")
    return plain


def report_argument(text: str) -> Path:
    """A file whose ending says in which form."""
    if not text.endswith(_FORMS):
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(_FORMS)}")
    return Path(text)


def log_key_argument(text: str) -> NoteKey:
    """A key as /api/v1/log states it."""
    try:
        return read_key(text.strip())
    except NoteError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def roots_argument(text: str) -> list[x509.Certificate]:
    """The certificates in a file; without the library for time stamps there is nothing to check them by."""
    try:
        if not is_available():
            raise StampError("--tsa-root", "needs the library for time stamps", NEEDED)
        return read_roots(Path(text).read_bytes())
    except (OSError, StampError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def checkpoint_argument(text: str) -> tuple[bytes, Checkpoint]:
    """The checkpoint in a file, a C2SP signed note, and its bytes."""
    try:
        with Path(text).open("rb") as file:
            note = file.read(NOTE_BYTES + 1)
        return note, read_checkpoint(note)
    except (OSError, NoteError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


class _Schema(argparse.Action):
    def __call__(self, *_: object) -> None:
        sys.stdout.write(schema() + "\n")
        raise SystemExit(0)


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="emitrace-verify",
        description="Take an evidence bundle apart and re-perform it, offline, trusting nobody. / 离线复核证据包。",
        usage="%(prog)s [options] BUNDLE\n       %(prog)s fetch --help\n       %(prog)s readings --help"
        "\n       %(prog)s proof --help",
        epilog="Exit codes: 0 consistent with the anchors held, 1 contradicts, 2 usage, 4 origin not established.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle, a zip file")
    parser.add_argument(
        "--trust", action="append", default=[], type=fingerprint_argument, metavar="FINGERPRINT",
        help="SHA-256 of a raw public key that you hold from elsewhere; repeat for each agent and the collector",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", type=checkpoint_argument, metavar="FILE",
        help="a checkpoint of the collector's log that you kept from before: the log must begin with it",
    )  # fmt: skip
    parser.add_argument(
        "--log-key", action="append", default=[], type=log_key_argument, metavar="KEY",
        help="the key of the collector's log (name+id+key) that you hold from elsewhere: it must have signed your "
        "checkpoint and those in the bundle; repeat for a log that has had more than one name",
    )  # fmt: skip
    parser.add_argument(
        "--tsa-root", action="append", default=[], type=roots_argument, metavar="FILE",
        help="root certificates (PEM) of a time stamping authority that you believe: stamps of checkpoints are checked",
    )  # fmt: skip
    parser.add_argument(
        "--report", action="append", default=[], type=report_argument, metavar="FILE",
        help="write the report to FILE, in the form its ending says: .html, .json or .txt; repeat for more",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--schema", action=_Schema, nargs=0, help="print the JSON Schema of the JSON report, and end")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Verify and exit with the verdict's code; or fetch, write out readings, check a proof, as the first word says."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        raise SystemExit(COMMANDS[words[0]](words[1:]))
    options = build_parser().parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    note, earlier = options.checkpoint or (b"", None)
    try:
        if options.log_key and earlier is not None:
            open_note(note, options.log_key)
        with opened(options.bundle, sys.stderr) as file:
            roots = list(chain.from_iterable(options.tsa_root))
            report = verify_bundle(file, options.trust, earlier, options.log_key, roots)
    except NoteError as error:
        sys.stderr.write(f"your checkpoint: {error}\n")
        raise SystemExit(USAGE) from error
    except OSError as error:
        sys.stderr.write(f"{options.bundle}: cannot be read: {error.strerror}. Check the path.\n")
        raise SystemExit(USAGE) from error
    name = options.bundle.name
    sys.stdout.write(as_json(report, name) + "\n" if options.json else _plain(report, name))
    for path in options.report:
        try:
            path.write_text(_written(report, name, path.suffix), encoding="utf-8", newline="\n")
        except OSError as error:
            sys.stderr.write(f"{path}: cannot be written: {error.strerror}. Name a file in a folder of yours.\n")
            raise SystemExit(USAGE) from error
    raise SystemExit(report.verdict.value)


def _written(report: Report, name: str, suffix: str) -> str:
    if suffix == ".html":
        return as_html(report, name)
    return as_json(report, name) + "\n" if suffix == ".json" else _plain(report, name)


def _plain(report: Report, name: str) -> str:
    return "\n".join(as_text(report, name)) + "\n"


if __name__ == "__main__":
    main()
