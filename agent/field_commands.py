"""``emitrace-agent field``: the page for a phone, a process of its own; and the PIN it stands behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from agent.config import load_config
from agent.console import CONFIG, ENVIRONMENT, ConfigPath, say, told

EXTRA = {"starlette", "jinja2", "uvicorn"}
"""Top-level modules that come with the extra ``field``."""


def field(
    config: ConfigPath = CONFIG,
    host: Annotated[str, typer.Option(help="Address to listen on: this machine's on the site's network.")] = "0.0.0.0",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8470,
) -> None:
    """Serve the page for a phone until Ctrl-C; it asks the running agent, and is off unless this runs."""
    try:
        import uvicorn

        from agent.field.app import create_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        sys.stderr.write(f"emitrace-agent: {error.name} is not installed. Run: pip install 'emitrace[field]'\n")
        raise typer.Exit(ENVIRONMENT) from None
    with told():
        app = create_app(load_config(config))
        say(f"http://{host}:{port}")
        uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False)


def field_pin(
    config: ConfigPath = CONFIG,
    pin: Annotated[
        str, typer.Option(prompt="PIN", show_default=False, hide_input=True, confirmation_prompt=True, help="Asked.")
    ] = "",
) -> None:
    """Set the PIN of the page for a phone: six digits or more; whoever is signed in stays so until it is restarted."""
    from agent.field.pin import keep_pin

    with told():
        loaded = load_config(config)
        loaded.state_dir.mkdir(parents=True, exist_ok=True)
        keep_pin(loaded.state_dir, pin)
        say(f"PIN kept in {loaded.state_dir}")


COMMANDS: dict[str, Callable[..., None]] = {"field": field, "field-pin": field_pin}
