"""``emitrace-simulate``: see ``simulators.commands`` for the commands."""

from __future__ import annotations

import sys

NEEDED = {"typer", "amqtt", "pwdlib"}
"""Top-level modules that come with the extra ``simulators``."""

_missing: ModuleNotFoundError | None = None
try:
    from simulators.commands import app
except ModuleNotFoundError as error:
    _missing = error


def main() -> None:
    """Run the command line; where a library is missing, say which extra brings it (exit code 3)."""
    if _missing is not None:
        _refuse(_missing)
    try:
        app()
    except ModuleNotFoundError as error:
        _refuse(error)


def _refuse(error: ModuleNotFoundError) -> None:
    if (error.name or "").partition(".")[0] not in NEEDED:
        raise error
    sys.stderr.write(f"emitrace-simulate: {error.name} is not installed. Run: pip install 'emitrace[simulators]'\n")
    raise SystemExit(3)


if __name__ == "__main__":
    main()
