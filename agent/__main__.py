"""``emitrace-agent``: see ``agent.commands`` for the commands."""

from __future__ import annotations

import sys

EXTRA = {"typer", "pymodbus", "aiomqtt", "paho", "sqlite_utils"}
"""Top-level modules that come with the extra ``agent``."""


def main() -> None:
    """Run the command line; where a library is missing, say which extra brings it."""
    try:
        from agent.commands import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        sys.stderr.write(f"emitrace-agent: {error.name} is not installed. Run: pip install 'emitrace[agent]'\n")
        raise SystemExit(3) from None
    app()


if __name__ == "__main__":
    main()
