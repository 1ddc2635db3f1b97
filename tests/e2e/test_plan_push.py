"""A plan pushed from the centre to an agent in the field: real programs, a real broker, signed all the way."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent import service
from agent.clock import KernelClock
from agent.config import Config
from agent.doctor import examine
from agent.service import OUTBOX, serve
from agent.site import load_site
from collector.books import own_key
from protocols.records import EventKind, PlanItem
from protocols.wire.keys import fingerprint, load_key, public_bytes
from tests.agent.rig import PLAN, Endpoint, write_agent
from tests.agent.stream import batches, read_stream, stored
from tests.collector.running import Collector
from tests.services import Mosquitto, Process

pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]
SECOND = PLAN.replace('"rig-1"', '"rig-2"').replace("value = 0.5306", "value = 0.6")


@dataclass
class Field:
    """The collector as a program, and an agent that it knows."""

    collector: Collector
    config: Config
    agent_id: str

    async def said(self, *words: str) -> tuple[int, str]:
        """Exit code and output of a command of the collector."""
        done = await asyncio.to_thread(
            subprocess.run, self.collector.command(*words), capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    async def push(self, text: str) -> tuple[int, str]:
        """Push a plan with this text."""
        file = self.collector.folder / "new" / "plan.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return await self.said("plan", "push", self.agent_id[:12], str(file))

    async def pushes(self) -> list[dict[str, Any]]:
        """Every push, newest first."""
        found: list[dict[str, Any]] = json.loads((await self.said("plan", "list", "--json"))[1])
        return found

    async def settled(self) -> dict[str, Any]:
        """The newest push once it waits no more."""
        await until(self._nothing_waits)
        return (await self.pushes())[0]

    async def _nothing_waits(self) -> bool:
        return all(one["state"] != "waiting" for one in await self.pushes())

    async def is_noticed(self) -> bool:
        """Whether the doctor beside the meters knows how the instruments stand."""
        looks = [look for look in await examine(self.config) if look.name == "calibration"]
        assert all("nothing proves it" in look.seen.en for look in looks)
        return {f"{one.id}: nothing proves it" for one in load_site(self.config).reading.bound.plan.instruments} == {
            look.seen.en for look in looks
        }

    async def has_sent(self) -> bool:
        """Whether a batch of the agent is in the books."""
        listed = json.loads((await self.said("agents", "list", "--json"))[1])
        return any(stream["placed"] > 1 for agent in listed for stream in agent["streams"])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The agent runs."""
        stop = asyncio.Event()
        task = asyncio.create_task(serve(self.config, KernelClock(), stop))
        try:
            yield
        finally:
            stop.set()
            await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.1)


@pytest.fixture
async def field(
    mosquitto: Mosquitto, tmp_path: Path, spawn: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Field]:
    monkeypatch.setattr(service, "CLOCK_LOOK_S", 0.2)
    password = tmp_path / "password"
    password.write_text(mosquitto.password)
    (tmp_path / "centre").mkdir()
    collector = Collector(tmp_path / "centre", spawn, mosquitto.port, mosquitto.username, password)
    known = public_bytes(own_key(collector.configure()))
    meter = await Endpoint().start()
    extra = f'username = "{mosquitto.username}"\npassword_file = "{password}"'
    config = write_agent(tmp_path / "agent", meter.port, mosquitto.port, fingerprint(known), extra=extra)
    public = public_bytes(load_key(config.key_file))
    await asyncio.to_thread(collector.run, "agents", "add", public.hex(), "--name", "boiler house")
    await asyncio.to_thread(collector.start)
    yield Field(collector, config, fingerprint(public))
    await meter.stop()


async def test_a_pushed_plan_is_followed_kept_and_overruled_beside_the_meters(field: Field) -> None:
    """In force at both ends and over a restart; a bad one is refused with its reason in the stream; files win."""
    async with field.running():
        await until(field.has_sent)
        await until(field.is_noticed)
        code, said = await field.push(SECOND)
        assert code == 0, said
        assert "rig-1 to rig-2" in said
        assert "~ factors grid-factor: value" in said
        assert (await field.settled())["state"] == "in force"

        code, said = await field.push(SECOND)
        assert (code, "in force there already" in said) == (2, True)
        code, said = await field.push(SECOND.replace("line-a", "line-b"))
        assert code == 0, said
        refused = await field.settled()
        assert refused["state"] == "refused"
        assert "line-b" in refused["detail"]
        assert (await field.said("plan", "list"))[0] == 1

    assert load_site(field.config).reading.bound.plan.version == "rig-2"
    field.config.plan.write_text(PLAN.replace('"rig-1"', '"rig-1a"'))
    assert load_site(field.config).reading.bound.plan.version == "rig-1a"

    items = read_stream(stored(field.config.state_dir / OUTBOX), public_bytes(load_key(field.config.key_file)))
    events = [event for batch in batches(items) for event in batch.events]
    assert len([item for item in items if isinstance(item, PlanItem)]) == 2
    assert len([event for event in events if event.kind is EventKind.PLAN_REFUSED]) == 1


async def test_what_cannot_be_pushed_is_told_at_once(field: Field) -> None:
    """To nobody, to one that has sent nothing, for another site, or a plan with a fault."""
    code, said = await field.said("plan", "push", "nobody", str(field.config.plan))
    assert (code, "no agent is called so" in said) == (2, True)
    code, said = await field.push(SECOND)
    assert (code, "no batch of it has come in yet" in said) == (2, True)
    async with field.running():
        await until(field.has_sent)
    code, said = await field.push(SECOND.replace('id = "site"', 'id = "elsewhere"'))
    assert (code, "the plan is of org/elsewhere" in said) == (2, True)
    code, said = await field.push(SECOND.replace('method = "electricity"', 'method = "magic"'))
    assert (code, "method" in said) == (2, True)
    code, said = await field.said("agents", "add", "11" * 32, "--name", "successor", "--replaces", "boiler house")
    assert (code, f"replaces agent {field.agent_id}" in said) == (0, True)
    assert "replaces" in (await field.said("agents", "list"))[1]
