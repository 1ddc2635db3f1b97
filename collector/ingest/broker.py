"""The MQTT shell: subscribes, queues what arrives, and says PUBACK only when told to. Live values pass it by.

MQTT 5 with a receive maximum where the broker grants it, which bounds what waits here; MQTT 3.1.1 otherwise.
The network thread never blocks. A broker that is away is retried for ever, at most every 30 s.
"""

from __future__ import annotations

import logging
import queue
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.config import Config
from collector.log import line
from protocols.wire import topics

RECEIVE_MAXIMUM = 500
SESSION_EXPIRY_S = 30 * 86_400
REFUSED_PROTOCOL = (1, 132)  # CONNACK: 3.1.1 "unacceptable protocol version", 5.0 "unsupported protocol version"
RETRY_S = (1, 30)
ANSWER_S = 5.0
"""A broker of 3.1.1 may take an MQTT 5 CONNECT for an incomplete one and stay silent; then 3.1.1 is tried."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came in (``arrived_s``, monotonic); ``session`` tells which connection may acknowledge it."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    session: int
    arrived_s: float


class Broker:
    """The connection to the broker, seen from the ingest thread."""

    def __init__(self, config: Config, public_key: bytes) -> None:
        self._config = config
        self._public_key = public_key
        self._session = 0
        self._lock = threading.Lock()
        self._protocol = mqtt.MQTTv5
        self._stopping = False
        self._answered = False
        self.queue: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.on_live: Callable[[str, bytes], None] = lambda _topic, _payload: None
        self.connected = False
        self._client = self._make_client()

    def start(self) -> None:
        """Connect in the background; returns at once."""
        self._connect()

    def stop(self) -> None:
        """Disconnect and end the network thread."""
        self._stopping = True
        self._client.disconnect()
        self._client.loop_stop()

    def acknowledge(self, message: Message) -> None:
        """Let the broker forget a message; one of an earlier connection will come again and is not confused."""
        with self._lock:
            if message.qos and message.session == self._session and self.connected:
                self._client.ack(message.mid, message.qos)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1; while the broker is away nothing is queued, because a later one says it all again."""
        if self.connected:
            self._client.publish(topic, payload, qos=1)

    def _make_client(self) -> mqtt.Client:
        settings = self._config.settings.broker
        options: dict[str, Any] = {} if self._protocol == mqtt.MQTTv5 else {"clean_session": False}
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=settings.client_id, protocol=self._protocol, manual_ack=True,
            **options,
        )  # fmt: skip
        if settings.username is not None:
            client.username_pw_set(settings.username, self._config.broker_password())
        if self._config.tls_ca is not None:
            client.tls_set_context(ssl.create_default_context(cafile=str(self._config.tls_ca)))
        client.reconnect_delay_set(*RETRY_S)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        if self._protocol == mqtt.MQTTv5:
            client.on_socket_open = self._on_socket_open
        return client

    def _connect(self) -> None:
        settings = self._config.settings.broker
        if self._protocol == mqtt.MQTTv5:
            wanted = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            wanted.SessionExpiryInterval = SESSION_EXPIRY_S
            wanted.ReceiveMaximum = RECEIVE_MAXIMUM
            self._client.connect_async(settings.host, settings.port, keepalive=30, clean_start=False, properties=wanted)
        else:
            self._client.connect_async(settings.host, settings.port, keepalive=30)
        self._client.loop_start()

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _props: object) -> None:
        if client is not self._client:
            return
        self._answered = True
        if reason.is_failure:
            log.warning(line("broker-refused", reason=reason))
            if self._protocol == mqtt.MQTTv5 and reason.value in REFUSED_PROTOCOL:
                threading.Thread(target=self._fall_back, name="mqtt-fall-back", daemon=True).start()
            return
        with self._lock:
            self._session += 1
            self.connected = True
        log.info(line("broker-connected", protocol="5" if self._protocol == mqtt.MQTTv5 else "3.1.1"))
        client.publish(topics.COLLECTOR_KEY, self._public_key, qos=1, retain=True)
        client.subscribe([(topics.ALL_UP, 1), (topics.ALL_STATUS, 1), (topics.ALL_LIVE, 0)])

    def _on_socket_open(self, client: mqtt.Client, _data: object, _socket: object) -> None:
        if not self._answered:
            timer = threading.Timer(ANSWER_S, self._on_silence, [client])
            timer.daemon = True
            timer.start()

    def _on_silence(self, client: mqtt.Client) -> None:
        if client is self._client and not self._answered and not self._stopping:
            log.warning(line("broker-silent", waited_s=ANSWER_S, hint="going on with MQTT 3.1.1"))
            self._fall_back()

    def _on_disconnect(self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _props: object) -> None:
        if client is not self._client:
            return
        with self._lock:
            was, self.connected = self.connected, False
        if was and not self._stopping:
            log.warning(line("broker-lost", reason=reason))

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if client is not self._client:
            return
        if message.topic.endswith("/live"):  # unsigned, never evidence: not for the books
            try:
                self.on_live(message.topic, bytes(message.payload))
            except Exception:  # the network thread also carries the evidence
                log.exception(line("live-failed", topic=message.topic))
        else:
            told = (message.topic, bytes(message.payload), message.mid, message.qos)
            self.queue.put(Message(*told, self._session, time.monotonic()))

    def _fall_back(self) -> None:
        """Go on with MQTT 3.1.1; runs in a thread of its own, because a network thread cannot end itself."""
        refused, self._protocol = self._client, mqtt.MQTTv311
        self._client = self._make_client()
        refused.disconnect()
        if refused.loop_stop() not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_INVAL):
            log.warning(line("broker-fall-back", seen="the refused connection did not end"))
        if not self._stopping:
            self._connect()
