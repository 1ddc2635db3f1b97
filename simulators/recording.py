"""What instruments answer at many instants at once: the registers ``Device.read`` gives, as one array.

Indications whose steps or floats numpy can hold exactly are encoded in one go; every other one, and every tie
too near to call in float64, goes through the scalar encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from protocols.modbus.registermap import Register
from protocols.quantities import Kind
from simulators import draws
from simulators.boiler import SUB
from simulators.encode import EncodeError, encode, integer_range, is_plain
from simulators.instruments import Channel, Device
from simulators.plant import Plant
from simulators.trajectory import Float64, Int64, Trajectory

UInt16 = NDArray[np.uint16]
EXACT = 2**53
"""Integers up to here are float64 exactly."""


@dataclass
class Recorder:
    """Answers of a plant's devices, block by block."""

    plant: Plant
    trajectory: Trajectory

    def read(self, device: Device, function: int, address: int, count: int, at_ms: Int64) -> UInt16:
        """The answers to one request, a row per instant.

        Raises
        ------
        ValueError
            An address of the request belongs to nothing.
        """
        first = int(at_ms[0]) if at_ms.size else self.plant.start_ms
        if device.read(function, address, count, first) is None:
            where = f"instrument {device.instrument.id}: function {function}, registers {address}-{address + count - 1}"
            raise ValueError(f"{where} cannot be read. Does the plan fit the scenario?")
        registers = np.zeros((at_ms.size, count), dtype=np.uint16)
        for channel in device.channels:
            asked = [(at, place - address) for at, place in enumerate(channel.places) if 0 <= place - address < count]
            if channel.register.function == function and asked:
                words = self.words(device, channel, at_ms)
                registers[:, [place for _, place in asked]] = words[:, [at for at, _ in asked]]
        return registers

    def words(self, device: Device, channel: Channel, at_ms: Int64) -> UInt16:
        """``channel.words`` at each instant, shape (times, words)."""
        register, instrument = channel.register, device.instrument
        if register.name in instrument.constants:
            return np.tile(np.array(channel.words(self.plant.start_ms), dtype=np.uint16), (at_ms.size, 1))
        cycle = instrument.checks
        if cycle is not None and (register.name == cycle.status or register.name in cycle.span_gas):
            return np.array([channel.words(at) for at in at_ms.tolist()], dtype=np.uint16)
        kind = register.quantity.definition.kind
        if kind is Kind.STATE:
            return steps_words(self.trajectory.instants(channel.signal, at_ms).astype(np.int64), Fraction(1), register)
        if kind is Kind.COUNTER:
            return self._counter(channel, instrument.initial.get(register.name, Decimal(0)), at_ms)
        base = self.trajectory.instants(channel.signal, at_ms)
        repeatability = float(instrument.repeatability_percent) / 100.0
        quanta = at_ms // self.plant.scenario.noise_ms
        noise = (
            draws.normals(self.plant.seed, "noise", instrument.id, register.name, last=quanta)
            if repeatability else np.zeros_like(base)
        )  # fmt: skip
        shown = base * (1.0 + float(channel.bias)) + np.abs(base) * repeatability * noise
        value = shown / float(register.quantity.definition.units[register.unit])
        if register.resolution is None:
            return float_words(value, register)
        step = Fraction(register.resolution)
        return steps_words(nearest_steps(value, step), step, register)

    def _counter(self, channel: Channel, initial: Decimal, at_ms: Int64) -> UInt16:
        """``instruments.counter_indication`` with its fractions brought to one denominator beforehand."""
        register = channel.register
        step = Fraction(register.resolution) if register.resolution is not None else Fraction(1, SUB)
        offset = Fraction(initial) / step
        slope = (1 + channel.bias) / (register.quantity.definition.units[register.unit] * SUB) / step
        common = offset.denominator * slope.denominator
        fixed, each = offset.numerator * slope.denominator, slope.numerator * offset.denominator
        steps = [(fixed + each * total) // common for total in self.trajectory.totals(channel.signal, at_ms)]
        if register.modulus is not None:
            modulus = Fraction(register.modulus) // step
            steps = [number % modulus for number in steps]
        return steps_words(np.array(steps, dtype=np.int64), step, register)


def nearest_steps(value: Float64, step: Fraction) -> Int64:
    """``round(Fraction(value) / step)`` of each value, half to even."""
    near = value * step.denominator / step.numerator
    whole = np.rint(near)
    doubtful = (np.abs(np.abs(near - np.floor(near)) - 0.5) <= np.abs(near) * 2.0**-50) | (np.abs(near) >= EXACT / 8)
    steps = np.where(doubtful, 0.0, whole).astype(np.int64)
    for position in np.flatnonzero(doubtful).tolist():
        steps[position] = round(Fraction(float(value[position])) / step)
    return steps


def steps_words(steps: Int64, step: Fraction, register: Register) -> UInt16:
    """Register words of ``steps x step`` in the register's unit."""
    scale = Fraction(register.scale)
    factor = step * scale if register.scale_by == "divide" else step / scale
    largest = max(abs(int(steps.min())), abs(int(steps.max()))) * factor.numerator if steps.size else 0
    if not is_plain(register):
        pass
    elif register.type.startswith("float"):
        if largest <= EXACT and factor.denominator <= EXACT and _is_decimal(factor.denominator):
            return _float_registers(steps * factor.numerator / factor.denominator, register)
    elif factor.denominator == 1 and largest < 2**62:
        return _integer_registers(steps * factor.numerator, register)
    shown = [Fraction(number) * step for number in steps.tolist()]
    return _rows([encode(Decimal(one.numerator) / Decimal(one.denominator), register) for one in shown], register)


def float_words(value: Float64, register: Register) -> UInt16:
    """Register words of values in the register's unit."""
    if is_plain(register) and register.type.startswith("float") and register.scale == 1:
        return _float_registers(value, register)
    return _rows([encode(Decimal(repr(one)), register) for one in value.tolist()], register)


def _float_registers(number: Float64, register: Register) -> UInt16:
    with np.errstate(over="ignore"):
        data = number.astype(">f4" if register.type == "float32" else ">f8")
    if not np.isfinite(data).all():
        raise EncodeError(f"register {register.name}: a number does not fit {register.type}")
    return _in_wire_order(data.view(">u2").reshape(number.size, register.width), register)


def _integer_registers(whole: Int64, register: Register) -> UInt16:
    low, high = integer_range(register)
    if whole.size and not low <= int(whole.min()) <= int(whole.max()) <= high:
        raise EncodeError(f"register {register.name}: {int(whole.min())}..{int(whole.max())} do not fit")
    data = whole.astype(f">i{2 * register.width}")
    return _in_wire_order(data.view(">u2").reshape(whole.size, register.width), register)


def _in_wire_order(words: NDArray[np.unsignedinteger], register: Register) -> UInt16:
    rows = words.astype(np.uint16)
    if register.byte_order == "little":
        rows = rows.byteswap()
    return rows[:, ::-1] if register.word_order == "little" else rows


def _rows(words: list[tuple[int, ...]], register: Register) -> UInt16:
    return np.array(words, dtype=np.uint16).reshape(len(words), len(register.places))


def _is_decimal(denominator: int) -> bool:
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1
