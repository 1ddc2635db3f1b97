from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiomqtt
import pytest

from simulators.broker import EmbeddedBroker

LOOPBACK = "127.0.0.1"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Port of a running embedded broker."""
    broker = EmbeddedBroker(LOOPBACK, 0, "tester", "right")
    yield await broker.start()
    await broker.stop()


def client(port: int, name: str, password: str = "right") -> aiomqtt.Client:
    """A client with a durable session."""
    return aiomqtt.Client(
        LOOPBACK, port, username="tester", password=password, identifier=name, clean_session=False,
        protocol=aiomqtt.ProtocolVersion.V311,
    )  # fmt: skip


async def test_a_wrong_password_is_refused(port: int) -> None:
    """Only the right password signs in."""
    async with client(port, "right"):
        pass
    with pytest.raises(aiomqtt.MqttError):
        async with client(port, "wrong", password="not right"):
            pass


async def test_messages_are_kept_for_a_session_that_is_away(port: int) -> None:
    """QoS 1 messages published while a durable session is away arrive in order when it comes back."""
    async with client(port, "reader") as reader:
        await reader.subscribe("t/#", qos=1)
    async with client(port, "writer") as writer:
        for number in range(3):
            await writer.publish(f"t/{number}", str(number), qos=1)
    async with client(port, "reader") as reader, asyncio.timeout(10):
        got = [message.payload async for message in _first(reader, 3)]

    assert [b"0", b"1", b"2"] == got


async def test_a_retained_message_reaches_a_later_subscriber(port: int) -> None:
    """What is retained is there for whoever subscribes afterwards."""
    async with client(port, "writer") as writer:
        await writer.publish("key", b"abc", qos=1, retain=True)
    async with client(port, "reader") as reader, asyncio.timeout(10):
        await reader.subscribe("key", qos=1)
        got = [(message.payload, message.retain) async for message in _first(reader, 1)]

    assert [(b"abc", True)] == got


async def _first(reader: aiomqtt.Client, count: int) -> AsyncIterator[aiomqtt.Message]:
    """The first messages that arrive."""
    messages = aiter(reader.messages)
    for _ in range(count):
        yield await anext(messages)
