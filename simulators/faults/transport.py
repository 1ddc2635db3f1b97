"""Faults of the line: how an answer travels, or that it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from simulators.faults.fault import SERIAL, Fault, LineKind, Occasion
from simulators.modbus.delivery import Delivery, Way

TCP_ONLY = frozenset({LineKind.TCP})
_TRANSACTIONS = 0x10000


class LateAnswer(Fault):
    """The answer comes after whoever asked has given up; ``delay_s`` decides whether before or after the next."""

    zh = "迟到应答：超时之后才到（可晚于下一请求）"
    en = "late: the answer comes after the timeout, and where the delay is long after the next request"
    kind: Literal["late-answer"]
    delay_s: Annotated[float, Field(gt=0)] = 1.5

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, delay_s=delivery.delay_s + self.delay_s)


class StaleAnswer(Fault):
    """The answer comes when the next request has come, in front of its answer."""

    zh = "陈旧应答：收到下一请求后才发出上一请求的应答"
    en = "stale: the answer leaves when the next request has come, in front of that one's answer"
    kind: Literal["stale-answer"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, way=Way.HELD)


class SlowTurnaround(Fault):
    """A device that takes its time, within the timeout."""

    zh = "响应慢：应答前多等一段时间（未超时）"
    en = "slow turnaround: the device takes its time before it answers, within the timeout"
    kind: Literal["slow-turnaround"]
    delay_s: Annotated[float, Field(gt=0)] = 0.1

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, delay_s=delivery.delay_s + self.delay_s)


class DeadUnit(Fault):
    """Nobody answers."""

    zh = "设备失联：不应答"
    en = "dead: no answer"
    kind: Literal["dead-unit"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, way=Way.LOST)


class WrongTransaction(Fault):
    """An answer under another transaction id, drawn anew each time."""

    zh = "事务号错误：每次为不同的随机号"
    en = "the answer bears another transaction id, a new one each time"
    lines = TCP_ONLY
    kind: Literal["wrong-transaction"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102
        shift = 1 + occasion.below(_TRANSACTIONS - 1, "transaction")
        return replace(delivery, transaction=(delivery.transaction + shift) % _TRANSACTIONS)


class ConstantTransaction(Fault):
    """A gateway that gives every answer the same transaction id."""

    zh = "事务号恒定：所有应答用同一个号"
    en = "every answer bears the same transaction id"
    lines = TCP_ONLY
    kind: Literal["constant-transaction"]
    transaction: Annotated[int, Field(ge=0, lt=_TRANSACTIONS)] = 0

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, transaction=self.transaction)


class WrongUnit(Fault):
    """An answer in another device's name."""

    zh = "单元号错误：以别的设备地址应答"
    en = "the answer bears another unit id"
    kind: Literal["wrong-unit"]
    says: Annotated[int, Field(ge=0, le=255)] | None = None

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, unit=delivery.unit % 247 + 1 if self.says is None else self.says)


class HalfAnswer(Fault):
    """The first half of a frame, and nothing after it."""

    zh = "半截应答：只发出帧的前一半"
    en = "half an answer: the first half of the frame, and nothing after it"
    kind: Literal["half-answer"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, edits=(*delivery.edits, lambda frame: frame[: len(frame) // 2]))


class Noise(Fault):
    """Bytes of the frame are flipped, inserted or lost. On Modbus TCP the network's own checks let none through."""

    zh = "线路噪声：字节翻转、插入或丢失（CRC 校验可查）"
    en = "noise: bytes of the frame are flipped, inserted or lost, which its CRC shows"
    lines = SERIAL
    kind: Literal["noise"]
    how: Literal["flip", "insert", "lose", "any"] = "any"
    count: Annotated[int, Field(ge=1, le=64)] = 1

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102
        def hurt(frame: bytes) -> bytes:
            for time in range(self.count):
                ways = ("flip", "insert", "lose")
                how = ways[occasion.below(3, f"how{time}")] if self.how == "any" else self.how
                at, other = occasion.below(len(frame), f"at{time}"), 1 + occasion.below(255, f"other{time}")
                if how == "flip":
                    frame = frame[:at] + bytes((frame[at] ^ other,)) + frame[at + 1 :]
                elif how == "insert":
                    frame = frame[:at] + bytes((other,)) + frame[at:]
                else:
                    frame = frame[:at] + frame[at + 1 :]
            return frame

        return replace(delivery, edits=(*delivery.edits, hurt))


class Echo(Fault):
    """A two-wire adapter that hears what it sends."""

    zh = "本地回显：请求原样返回，其后才是应答"
    en = "echo: the request comes back in front of the answer"
    lines = SERIAL
    kind: Literal["echo"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, echo=True)


class ConnectionReset(Fault):
    """The connection is cut instead of an answer."""

    zh = "连接被重置：不应答而断开连接"
    en = "the connection is cut instead of an answer"
    lines = frozenset({LineKind.TCP, LineKind.RTU_OVER_TCP})
    kind: Literal["connection-reset"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        return replace(delivery, way=Way.RESET)
