"""The MQTT session: items out in two lanes (``agent.outflow``) until the collector has said that they are committed.

The broker's own acknowledgement only ends a publish; an item is done when an acknowledgement signed by the
collector names it. The connection is tried for ever at a bounded rate. (aiomqtt is asyncio-mqtt under its
present name; the old package does not run with paho-mqtt 2.)
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from logging import getLogger

import aiomqtt

from agent.broker import Broker
from agent.log import line
from agent.outflow import Outflow
from agent.trust import Refused, Trust
from agent.waiting import is_cancelled
from agent.watched import Watched
from agent.witness import Witness
from agent.writer import Writer
from protocols.messages import Notice, PlanPush
from protocols.wire import topics

RECONNECT_FIRST_S = 1.0
RECONNECT_MOST_S = 30.0
KEEPALIVE_S = 20
STATUS_EVERY_S = 30.0
STATUS_LEAST_S = 1.0
LIVE_EVERY_S = 1.0
TOGETHER = 8
"""Publishes waiting for the broker at a time."""
TLS_HINT = "the broker's certificate is not for this host or not signed by [broker] tls_ca"

_log = getLogger(__name__)


class Uplink:
    """One agent's session with the broker.

    Parameters
    ----------
    stream_id : callable
        The own stream's id; empty before there is one.
    status : callable
        The unsigned status message.
    on_connection : callable
        Told whether there is a session now.
    now_ms : callable
        Wall clock, only for the time of acknowledgements. [UTC ms]
    watched : Watched
        What pages want live.
    on_push : callable
        Takes a plan that the collector signed for this stream.
    witness : Witness
        Takes the checkpoints of the evidence log that come with acknowledgements.
    on_notice : callable
        Takes what the collector signed of the instruments' calibration, and the signed bytes.
    """

    def __init__(
        self,
        broker: Broker,
        agent_id: str,
        writer: Writer,
        trust: Trust,
        stream_id: Callable[[], bytes],
        status: Callable[[], bytes],
        on_connection: Callable[[bool], None],
        now_ms: Callable[[], int],
        watched: Watched,
        on_push: Callable[[PlanPush], Awaitable[None]],
        outflow: Outflow | None = None,
        witness: Witness | None = None,
        on_notice: Callable[[Notice, bytes], None] | None = None,
    ) -> None:
        self._broker = broker
        self._agent_id = agent_id
        self._writer = writer
        self._trust = trust
        self._stream_id = stream_id
        self._status = status
        self._on_connection = on_connection
        self._now_ms = now_ms
        self._watched = watched
        self._on_push = on_push
        self._outflow = outflow or Outflow()
        self._witness = witness
        self._on_noticed = on_notice
        self._news = asyncio.Event()
        self._status_news = asyncio.Event()
        self._client: aiomqtt.Client | None = None
        self._closing = False

    def close(self) -> None:
        """The session now, if any, is the last; ``run`` is cancelled after this."""
        self._closing = True

    def wake(self) -> None:
        """There is a new item, or something else to publish."""
        self._news.set()

    def wake_status(self) -> None:
        """The status has changed."""
        self._status_news.set()

    async def run(self) -> None:
        """Keep the session and publish until ``close`` and a cancellation (which aiomqtt may swallow)."""
        delay_s = RECONNECT_FIRST_S
        told = ""
        while not self._closing:
            began = time.monotonic()
            try:
                await self._session()
            except* (aiomqtt.MqttError, OSError) as group:
                problem = str(group.exceptions[0])
                if problem != told:
                    hint = {"hint": TLS_HINT} if "CERTIFICATE_VERIFY_FAILED" in problem else {}
                    _log.warning(
                        line("broker-away", host=self._broker.host, port=self._broker.port, problem=problem, **hint)
                    )
                told = problem
            finally:
                self._client = None
                self._on_connection(False)
            if time.monotonic() - began > RECONNECT_MOST_S:
                delay_s, told = RECONNECT_FIRST_S, ""
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RECONNECT_MOST_S)

    async def drained(self) -> bool:
        """Wait until the newest items are with the broker; False at once where there is no session."""
        while self._client is not None:
            _, newest = await self._waiting()
            if self._outflow.all_live_published(newest):
                return True
            self.wake()
            await asyncio.sleep(0.05)
        return False

    async def say(self, status: bytes) -> None:
        """Publish a status at once, where there is a session."""
        if self._client is not None:
            with suppress(aiomqtt.MqttError):
                await self._client.publish(topics.status(self._agent_id), status, qos=1, retain=True)

    async def _session(self) -> None:
        broker = self._broker
        gone = json.dumps({"agent_id": self._agent_id, "phase": "offline"}).encode()
        context = None if broker.tls_ca is None else ssl.create_default_context(cafile=str(broker.tls_ca))
        client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=f"em-{self._agent_id[:20]}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=KEEPALIVE_S,
            will=aiomqtt.Will(topics.status(self._agent_id), gone, qos=1, retain=True),
            tls_context=context,
        )
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(client)
            except AttributeError as error:  # aiomqtt asks for the number of a socket that the broker closed meanwhile
                raise ConnectionResetError("the broker closed the connection while it was made") from error
            await client.subscribe([(topics.COLLECTOR_KEY, 1), (topics.down(self._agent_id), 1)])
            if self._closing:
                return
            self._client = client
            self._outflow.reset()
            self._on_connection(True)
            _log.info(line("broker-connected", host=broker.host, port=broker.port))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(client), name="uplink-receive")
                group.create_task(self._send(client), name="uplink-send")
                group.create_task(self._tell(client), name="uplink-status")
                group.create_task(self._show(client), name="uplink-live")

    async def _send(self, client: aiomqtt.Client) -> None:
        while not is_cancelled():
            self._news.clear()
            oldest, newest = await self._waiting()
            due = self._outflow.due(oldest, newest, time.monotonic())
            for start in range(0, len(due), TOGETHER):
                await asyncio.gather(*(self._publish(client, one) for one in due[start : start + TOGETHER]))
            if not due and not is_cancelled():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._outflow.next_s(time.monotonic()) + 0.01):
                        await self._news.wait()

    async def _waiting(self) -> tuple[list[int], list[int]]:
        outflow = self._outflow
        return await self._writer.call(self._writer.outbox.waiting, outflow.window + outflow.live, outflow.live)

    async def _publish(self, client: aiomqtt.Client, sequence: int) -> None:
        item = await self._writer.call(self._writer.outbox.item, sequence)
        if item is None:
            self._outflow.missing(sequence)
            return
        await client.publish(topics.up(self._agent_id, item.kind), item.data, qos=1)
        self._outflow.published(sequence, time.monotonic())
        _log.debug(line("published", sequence=sequence, kind=item.kind.value, bytes=len(item.data)))

    async def _tell(self, client: aiomqtt.Client) -> None:
        while not is_cancelled():
            self._status_news.clear()
            await client.publish(topics.status(self._agent_id), self._status(), qos=1, retain=True)
            if is_cancelled():
                return
            await asyncio.sleep(STATUS_LEAST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_EVERY_S - STATUS_LEAST_S):
                    await self._status_news.wait()

    async def _show(self, client: aiomqtt.Client) -> None:
        """While watched, the newest values at most once a second; the next only when the line has taken the last."""
        while not is_cancelled():
            await self._watched.begins()
            message = self._watched.message()
            if message is not None:
                await client.publish(topics.live(self._agent_id), message, qos=0)
            await asyncio.sleep(LIVE_EVERY_S)

    async def _receive(self, client: aiomqtt.Client) -> None:
        handlers = {
            topics.COLLECTOR_KEY: self._on_key,
            topics.ack(self._agent_id): self._on_ack,
            topics.resend(self._agent_id): self._on_resend,
            topics.plan_push(self._agent_id): self._on_plan,
            topics.watch(self._agent_id): self._on_watch,
            topics.notice(self._agent_id): self._on_notice,
        }
        async for message in client.messages:
            handler = handlers.get(str(message.topic))
            if handler is None:
                continue
            try:
                await handler(message)
            except Refused as refused:
                _log.warning(line("not-believed", topic=message.topic, reason=refused))
            except sqlite3.Error as error:  # a full disk: what stays unmarked is published and acknowledged again
                _log.error(line("not-noted", topic=message.topic, error=error, hint="check the disk"))

    async def _on_key(self, message: aiomqtt.Message) -> None:
        self._trust.offer(message.payload)
        if not message.retain:  # published just now: the collector has come back and may have missed what is under way
            self._outflow.reset()
            self.wake()

    async def _on_ack(self, message: aiomqtt.Message) -> None:
        outbox, own = self._writer.outbox, self._stream_id()
        ack = self._trust.ack(message.payload, own, await self._writer.call(outbox.old_streams.streams))
        told = ack.contiguous, ack.beyond, self._now_ms()
        if ack.stream_id == own:
            if self._witness is not None:
                self._witness.keep_receipt(ack, message.payload)
            marked = await self._writer.call(outbox.mark_acknowledged, *told)
        else:
            marked = await self._writer.call(outbox.old_streams.mark, ack.stream_id, *told)
        if marked:
            _log.info(line("acknowledged", items=marked, contiguous=ack.contiguous))
            self.wake()
            self.wake_status()
        if ack.checkpoint and self._witness is not None:
            await self._witness.take(ack)

    async def _on_resend(self, message: aiomqtt.Message) -> None:
        outbox, own = self._writer.outbox, self._stream_id()
        request = self._trust.resend(message.payload, own, await self._writer.call(outbox.old_streams.streams))
        for first, last in request.ranges:
            bounds = first, last, self._outflow.window
            if request.stream_id == own:
                here = await self._writer.call(outbox.acknowledged, *bounds)
                self._outflow.ask_again(first, last, time.monotonic())
            else:
                here = await self._writer.call(outbox.old_streams.acknowledged, request.stream_id, *bounds)
            self._outflow.ask(here)
            _log.info(line("resend-asked", first=first, last=last, here=len(here)))
        self.wake()

    async def _on_plan(self, message: aiomqtt.Message) -> None:
        await self._on_push(self._trust.plan_push(message.payload, self._stream_id()))

    async def _on_watch(self, message: aiomqtt.Message) -> None:
        self._watched.want(self._trust.watch(message.payload, self._stream_id()))

    async def _on_notice(self, message: aiomqtt.Message) -> None:
        notice = self._trust.notice(message.payload, self._stream_id())
        if self._on_noticed is not None:
            self._on_noticed(notice, message.payload)
            self.wake_status()
