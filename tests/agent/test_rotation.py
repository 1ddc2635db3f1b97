"""rotate-key: the stream says, under the old key, that a new one signs; whatever a power cut leaves is finished."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent import rotate_command
from agent.clock import KernelClock
from agent.commands import app
from agent.config import Config
from agent.enrolling import EnrolmentError, identity
from agent.health import read_status
from agent.identity import Identity, former_file, load_identity, next_file, take_on_next
from agent.outbox import Outbox
from agent.rotation import settle_key
from agent.service import OUTBOX, serve
from protocols.key_change import KeyChange
from protocols.wire.cose import key_id, open_sealed
from protocols.wire.keys import fingerprint, load_key, make_key, public_bytes
from tests.agent.rig import Endpoint, write_agent
from tests.agent.stream import stored
from tests.services import free_port


@pytest.fixture
async def ran(tmp_path: Path) -> Config:
    """An agent that has run once; its broker is away."""
    meter = await Endpoint().start()
    config = write_agent(tmp_path / "agent", meter.port, free_port(), "c" * 64)
    await run_once(config)
    await meter.stop()
    return config


async def run_once(config: Config) -> None:
    """Run until it polls, then stop it cleanly."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    async with asyncio.timeout(40):
        while read_status(config.state_dir).get("phase") != "running":
            await asyncio.sleep(0.05)
    stop.set()
    await task


def rotate(config: Config) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rotate-key", "--config", str(config.file)])
    return result.exit_code, result.output


def kids(config: Config) -> list[bytes]:
    """Who signed each item, oldest first."""
    return [open_sealed(item.data).kid for item in stored(config.state_dir / OUTBOX)]


async def test_the_stream_goes_on_under_a_new_key(ran: Config) -> None:
    """The id stays; before and up to the change the old key signed, behind it the new one; every item can be read."""
    old = load_identity(ran.key_file)
    code, said = await asyncio.to_thread(rotate, ran)
    assert (code, old.agent_id in said) == (0, True), said
    new = load_identity(ran.key_file)
    await run_once(ran)
    signed, items = kids(ran), [new.read(item.data) for item in stored(ran.state_dir / OUTBOX)]
    at = next(place for place, item in enumerate(items) if isinstance(item, KeyChange))

    assert (old.agent_id, (old.public,)) == (new.agent_id, new.former)
    assert old.public != new.public
    assert {key_id(old.public)} == set(signed[: at + 1])
    assert {key_id(new.public)} == set(signed[at + 1 :])
    assert old.agent_id == read_status(ran.state_dir)["agent_id"]
    assert 0o600 == ran.key_file.stat().st_mode & 0o777
    assert not next_file(ran.key_file).exists()
    for command, word in (("key", "signed before this one"), ("check-config", old.agent_id)):
        assert word in CliRunner().invoke(app, [command, "--config", str(ran.file)]).output
    with pytest.raises(EnrolmentError, match="--new-key"):
        identity(ran)


@pytest.mark.parametrize("cut", ["after the key", "after the change", "after the list"])
async def test_a_power_cut_in_between_loses_nothing(ran: Config, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    """The change is finished at the next start, or was never begun; the same new key is used, and none is lost."""
    old = load_identity(ran.key_file)
    if cut == "after the key":
        new = make_key(next_file(ran.key_file))
        await run_once(ran)
        assert old.public == load_identity(ran.key_file).public
        assert 0 == (await asyncio.to_thread(rotate, ran))[0]
        assert public_bytes(new) == load_identity(ran.key_file).public
        return
    with monkeypatch.context() as patched:
        calls: list[int] = []

        def settle(config: Config, outbox: Outbox) -> None:
            calls.append(1)
            if len(calls) == 1:
                settle_key(config, outbox)

        patched.setattr(rotate_command, "settle_key", settle)
        assert 0 == (await asyncio.to_thread(rotate, ran))[0]
    assert old.public == load_identity(ran.key_file).public
    new_public = public_bytes(load_key(next_file(ran.key_file)))
    if cut == "after the list":
        former_file(ran.key_file).write_text(f"{old.public.hex()}\n")
    await run_once(ran)
    found = load_identity(ran.key_file)

    assert (new_public, (old.public,), old.agent_id) == (found.public, found.former, found.agent_id)
    assert key_id(new_public) == kids(ran)[-1]
    assert not next_file(ran.key_file).exists()


async def test_twice_and_not_while_it_runs(ran: Config) -> None:
    """The ring grows; a running agent holds its folder."""
    first = load_identity(ran.key_file)
    for _ in range(2):
        assert 0 == (await asyncio.to_thread(rotate, ran))[0]
        await run_once(ran)
    found = load_identity(ran.key_file)
    assert (2, first.agent_id) == (len(found.former), found.agent_id)

    stop = asyncio.Event()
    task = asyncio.create_task(serve(ran, KernelClock(), stop))
    async with asyncio.timeout(40):
        while read_status(ran.state_dir).get("phase") != "running":
            await asyncio.sleep(0.05)
    code, said = await asyncio.to_thread(rotate, ran)
    stop.set()
    await task
    assert (3, True) == (code, "another agent is running" in said)


def test_without_a_stream_there_is_nothing_to_change(tmp_path: Path) -> None:
    """Said in words; nothing is left behind. A list that was tampered with is refused."""
    config = write_agent(tmp_path / "agent", 1, 2)
    code, said = rotate(config)
    assert (2, True) == (code, "has no stream" in said)
    assert not next_file(config.key_file).exists()
    former_file(config.key_file).write_text("no key\n")
    assert "cannot be read" in rotate(config)[1]
    former_file(config.key_file).unlink()
    own = load_identity(config.key_file)
    assert Identity(own.key).agent_id == fingerprint(own.public)
    make_key(next_file(config.key_file))
    take_on_next(config.key_file)
    assert (own.public,) == load_identity(config.key_file).former
