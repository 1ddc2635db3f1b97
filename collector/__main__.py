"""``emitrace-collector``: see ``collector.commands`` for the commands."""

from __future__ import annotations

import sys

EXTRA = {
    "typer", "fastapi", "starlette", "uvicorn", "jinja2", "markupsafe", "multipart", "python_multipart", "sqlalchemy",
    "paho", "argon2", "prometheus_client",
}  # fmt: skip
"""Top-level modules that come with the extra ``collector``."""


def main() -> None:
    """Run the command line; where a library is missing, say which extra brings it."""
    try:
        from collector.commands import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        sys.stderr.write(f"emitrace-collector: {error.name} is not installed. Run: pip install 'emitrace[collector]'\n")
        raise SystemExit(3) from None
    app()


if __name__ == "__main__":
    main()
