"""Faults of the answer: what the instrument refuses, or says in a frame that is whole and yet wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from simulators.faults.fault import Fault, Occasion
from simulators.modbus.delivery import Delivery
from simulators.modbus.pdu import READS, ExceptionCode, refusal, registers_of


class Holes(Fault):
    """Registers that this copy of the model does not have."""

    zh = "地址空洞：触及该寄存器区间的请求返回异常码 2"
    en = "requests that touch the registers get exception 2: this firmware has none there"
    kind: Literal["holes"]

    def refuses(self, pdu: bytes, occasion: Occasion) -> bytes | None:  # noqa: D102, ARG002
        return refusal(pdu[0], ExceptionCode.ILLEGAL_ADDRESS) if registers_of(pdu) is not None else None


class MaxRegisters(Fault):
    """A device that gives fewer registers at once than its map says."""

    zh = "单次请求寄存器数超过上限（如 16、125）返回异常码 3"
    en = "requests for more registers than the limit (16, or another) get exception 3"
    kind: Literal["max-registers"]
    limit: Annotated[int, Field(ge=1, le=125)] = 16

    def refuses(self, pdu: bytes, occasion: Occasion) -> bytes | None:  # noqa: D102, ARG002
        asked = registers_of(pdu)
        return refusal(pdu[0], ExceptionCode.ILLEGAL_VALUE) if asked is not None and asked[1] > self.limit else None


class Busy(Fault):
    """A device that has no time."""

    zh = "设备忙：返回异常码 6"
    en = "busy: exception 6"
    kind: Literal["busy"]

    def refuses(self, pdu: bytes, occasion: Occasion) -> bytes | None:  # noqa: D102, ARG002
        return refusal(pdu[0], ExceptionCode.DEVICE_BUSY)


class ShortAnswer(Fault):
    """A frame that is whole and holds one register less than was asked for."""

    zh = "短应答：帧完整，但少一个寄存器"
    en = "short answer: the frame is whole but holds one register less"
    kind: Literal["short-answer"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        pdu = delivery.pdu
        if pdu[0] not in READS:
            return delivery
        return replace(delivery, pdu=bytes((pdu[0], pdu[1] - 2)) + pdu[2:-2])


class WrongFunction(Fault):
    """Function 3 is answered as 4, and 4 as 3."""

    zh = "功能码错误：3 答成 4，4 答成 3"
    en = "the answer to function 3 says 4, that to 4 says 3"
    kind: Literal["wrong-function"]

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: D102, ARG002
        pdu = delivery.pdu
        return replace(delivery, pdu=bytes((7 - pdu[0],)) + pdu[1:]) if pdu[0] in READS else delivery
