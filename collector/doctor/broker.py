"""The broker as the collector uses it: reached, signed in to, read from and written to on the topics it needs.

A session of its own, clean, under its own client id; it publishes one message, on a topic that nobody else reads.
"""

from __future__ import annotations

import os
import queue
import ssl
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from collector.config import Config
from collector.doctor.machine import is_clear_text
from collector.doctor.results import Result
from protocols.errors import EmitraceError
from protocols.wire import topics

ANSWER_S = 10.0
DOCTOR = f"{topics.ROOT}/collector/doctor"
NEEDED = (topics.ALL_UP, topics.ALL_STATUS, topics.COLLECTOR_KEY, DOCTOR)
ACCOUNT_HINT = "Check [broker] username and password_file against the broker's accounts."
ACL_HINT = f"Let the collector's account read and write {topics.ROOT}/#."


def look_at_broker(config: Config, public_key: bytes | None) -> Iterator[Result]:
    """Sign in, subscribe to what is needed, publish and hear it again; compare the key that agents are told."""
    settings = config.settings.broker
    where = f"{settings.host}:{settings.port}"
    if is_clear_text(config):
        yield Result("broker", where, "the password travels in the clear", "Name the broker's CA as [broker] tls_ca.")
    try:
        client, heard = _client(config)
        client.connect(settings.host, settings.port, keepalive=30)
    except (OSError, ValueError, EmitraceError) as error:
        hint = "Is the broker running, is [broker] host and port right, is its certificate signed by tls_ca?"
        yield Result("broker", where, f"cannot be reached: {error}", hint)
        return
    client.loop_start()
    try:
        yield from _converse(client, heard, where, public_key)
    except queue.Empty:
        yield Result("broker", where, f"silent for {ANSWER_S:g} s", "Is it an MQTT broker? Look into its log.")
    finally:
        client.disconnect()
        client.loop_stop()


Heard = queue.SimpleQueue[tuple[str, Any]]


def _client(config: Config) -> tuple[mqtt.Client, Heard]:
    settings = config.settings.broker
    heard: Heard = queue.SimpleQueue()
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=f"{settings.client_id}-doctor-{os.getpid()}", reconnect_on_failure=False
    )
    if settings.username is not None:
        client.username_pw_set(settings.username, config.broker_password())
    if config.tls_ca is not None:
        client.tls_set_context(ssl.create_default_context(cafile=str(config.tls_ca)))
    client.on_connect = lambda _c, _d, _f, reason, _p: heard.put(("connected", reason))
    client.on_subscribe = lambda _c, _d, _m, reasons, _p: heard.put(("subscribed", reasons))
    client.on_disconnect = lambda _c, _d, _f, reason, _p: heard.put(("gone", reason))
    client.on_message = lambda _c, _d, message: heard.put((message.topic, bytes(message.payload)))
    return client, heard


def _converse(client: mqtt.Client, heard: Heard, where: str, public_key: bytes | None) -> Iterator[Result]:
    event, reason = heard.get(timeout=ANSWER_S)
    if event != "connected" or reason.is_failure:
        yield Result("broker", where, f"refuses to sign in: {reason}", ACCOUNT_HINT)
        return
    yield Result("broker", where, "reached, signed in")
    client.subscribe([(topic, 1) for topic in NEEDED])
    reasons = _await(heard, "subscribed", {})
    denied = [topic for topic, one in zip(NEEDED, reasons or (), strict=False) if one.is_failure]
    if reasons is None or denied:
        seen = f"may not read {', '.join(denied)}" if denied else "left after subscribing"
        yield Result("broker topics", where, seen, ACL_HINT)
        return
    proof = os.urandom(16)
    client.publish(DOCTOR, proof, qos=1)
    retained: dict[str, Any] = {}
    try:
        came_back = _await(heard, DOCTOR, retained) == proof
    except queue.Empty:
        came_back = False
    seen = "read and written" if came_back else f"what was written to {DOCTOR} did not come back"
    yield Result("broker topics", where, seen, "" if came_back else ACL_HINT)
    told = retained.get(topics.COLLECTOR_KEY)
    if told is not None and public_key is not None and told != public_key:
        hint = "Does another collector use this broker? One broker serves one collector; agents believe the named key."
        yield Result("broker key", topics.COLLECTOR_KEY, "agents are told another collector's key", hint)


def _await(heard: Heard, wanted: str, passed: dict[str, Any]) -> Any:
    """What comes under a name; what came before it goes into ``passed``; None where the connection ends."""
    while True:
        name, value = heard.get(timeout=ANSWER_S)
        if name == wanted:
            return value
        if name == "gone":
            return None
        passed[name] = value
