"""Every look, one after the other; what cannot be looked at because of an earlier finding is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collector.config import load_config
from collector.doctor.books import look_at_books
from collector.doctor.broker import look_at_broker
from collector.doctor.machine import look_at_files, look_at_folder, look_at_service
from collector.doctor.results import Result
from collector.log import keep_secret
from protocols.errors import EmitraceError, InputErrors
from protocols.wire.keys import load_key, public_bytes


def examine(path: Path, now_ms: int, *, deep: bool) -> Iterator[Result]:
    """Look at everything that a configuration leads to."""
    try:
        config = load_config(path)
    except InputErrors as errors:
        for one in errors.errors:
            yield Result("configuration", one.subject, one.seen, one.hint or "See collector.example.toml.")
        return
    except (EmitraceError, OSError) as error:
        yield Result("configuration", str(path), str(error), "Name the collector's configuration with --config.")
        return
    yield Result("configuration", str(path), "read")
    yield from look_at_files(config)
    yield from look_at_folder(config)
    yield from look_at_books(config, now_ms, deep=deep)
    public_key = None
    try:
        keep_secret(config.broker_password())
        public_key = public_bytes(load_key(config.key_file))
    except EmitraceError:
        pass  # the look at the files has told it
    yield from look_at_broker(config, public_key)
    yield from look_at_service(config)
