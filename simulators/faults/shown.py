"""Faults of the instrument itself: what its registers show."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from protocols.modbus.registermap import Register, span_of
from protocols.quantities import Kind
from simulators.checks import CheckCycle, Doing, doing
from simulators.encode import pattern
from simulators.faults.fault import Fault, Occasion, Shown, Words

SIX_DIGITS = Decimal(1_000_000)
_HOUR_MS = 3_600_000


def _kind(register: Register) -> Kind:
    return register.quantity.definition.kind


def _top(register: Register, given: Decimal | None) -> Decimal:
    """Where a counter rolls over, in its unit: as given, else by its map, by its type, at six digits."""
    if given is not None or register.modulus is not None:
        return given or register.modulus or SIX_DIGITS
    span = span_of(register)
    return SIX_DIGITS if span is None else Decimal(span.numerator) / Decimal(span.denominator)


class ZeroGlitch(Fault):
    """Registers are zero."""

    zh = "寄存器瞬时读为零（丢数被当成零）"
    en = "registers read zero for a moment"
    kind: Literal["zero-glitch"]

    def words(self, register: Register, words: Words, occasion: Occasion) -> Words:  # noqa: D102, ARG002
        return lambda at_ms: (0,) * len(words(at_ms)) if self.covers(register) else words(at_ms)


class Sentinel(Fault):
    """Registers show the map's first sentinel, or all ones where the map has none."""

    zh = "寄存器显示“无效值”码（0xFFFF 等）"
    en = "registers show 'not available': the map's sentinel, else all bits one"
    kind: Literal["sentinel"]

    def words(self, register: Register, words: Words, occasion: Occasion) -> Words:  # noqa: D102, ARG002
        ones = (1 << 16 * register.width) - 1
        shown = pattern(next(iter(register.sentinels), ones), register)
        return lambda at_ms: shown + words(at_ms)[len(shown) :] if self.covers(register) else words(at_ms)


class TornWords(Fault):
    """The first half of a value's registers is of now, the rest of an instant before."""

    zh = "高低字撕裂：高字取自现在，低字取自早先"
    en = "torn words: the first registers of a value are of now, the rest of an instant before"
    kind: Literal["torn-words"]
    lag_s: Annotated[float, Field(gt=0)] = 60.0

    def words(self, register: Register, words: Words, occasion: Occasion) -> Words:  # noqa: D102, ARG002
        half, lag_ms = register.width // 2, round(1000 * self.lag_s)

        def torn(at_ms: int) -> tuple[int, ...]:
            return words(at_ms)[:half] + words(at_ms - lag_ms)[half:]

        return torn if half and self.covers(register) else words


class Frozen(Fault):
    """Registers stand still from the fault's beginning."""

    zh = "数值冻结：始终显示故障开始时的读数"
    en = "frozen: registers go on showing what they showed when it began"
    kind: Literal["frozen"]

    def value(self, register: Register, shown: Shown, occasion: Occasion) -> Shown:  # noqa: D102
        return (lambda at_ms: shown(min(at_ms, occasion.begins_ms))) if self.covers(register) else shown


class Drift(Fault):
    """Instants are more and more too great, counters run more and more too fast."""

    zh = "漂移：示值随时间按每小时百分比偏大"
    en = "drift: what is shown grows too great by a percentage per hour"
    kind: Literal["drift"]
    percent_per_h: float = 1.0

    def value(self, register: Register, shown: Shown, occasion: Occasion) -> Shown:  # noqa: D102
        if _kind(register) is Kind.STATE or not self.covers(register):
            return shown
        base = shown(occasion.begins_ms) if _kind(register) is Kind.COUNTER else Decimal(0)

        def drifted(at_ms: int) -> Decimal:
            hours = Decimal(max(at_ms - occasion.begins_ms, 0)) / _HOUR_MS
            return shown(at_ms) + (shown(at_ms) - base) * hours * Decimal(repr(self.percent_per_h)) / 100

        return drifted


class Rollover(Fault):
    """Counters stand so that they pass their top at ``from``. In force from the plant's start."""

    zh = "计数器翻转：在开始时刻越过最大值归零"
    en = "counters pass their greatest number and go on from zero; 'from' is when"
    kind: Literal["rollover"]
    top: Annotated[Decimal, Field(gt=0)] | None = None

    def holds(self, at_ms: int, start_ms: int) -> bool:  # noqa: D102
        end = self.ends_ms(start_ms)
        return end is None or at_ms < end

    def value(self, register: Register, shown: Shown, occasion: Occasion) -> Shown:  # noqa: D102
        if _kind(register) is not Kind.COUNTER or not self.covers(register):
            return shown
        top, then = _top(register, self.top), shown(occasion.begins_ms)
        return lambda at_ms: wrapped(shown(at_ms) - then, top)


class CounterReset(Fault):
    """Counters begin anew at zero; the meter is the same."""

    zh = "计数器复位：从零重新累计，表号不变"
    en = "counters begin anew at zero; the meter stays the same"
    kind: Literal["counter-reset"]
    opening: ClassVar[Decimal] = Decimal(0)

    def value(self, register: Register, shown: Shown, occasion: Occasion) -> Shown:  # noqa: D102
        if _kind(register) is not Kind.COUNTER or not self.covers(register):
            return shown
        return anew(register, shown, occasion.begins_ms, self.opening)


class MeterSwap(Fault):
    """Another meter of the same model hangs there: another serial number, another index. The ledger has it."""

    zh = "换表：新表号、新底数（台账有记录）"
    en = "another meter of the model: new serial number, new index; the ledger has both indexes"
    kind: Literal["meter-swap"]
    new_serial: Annotated[str, Field(coerce_numbers_to_str=True)] = "99999999"
    opening: Annotated[Decimal, Field(ge=0)] = Decimal(0)

    def serial(self, number: str) -> str:  # noqa: D102, ARG002
        return self.new_serial

    def value(self, register: Register, shown: Shown, occasion: Occasion) -> Shown:  # noqa: D102
        if register.name == "serial_number" and self.new_serial.isdigit():
            return lambda at_ms: Decimal(self.new_serial)  # noqa: ARG005
        if _kind(register) is not Kind.COUNTER or not self.covers(register):
            return shown
        return anew(register, shown, occasion.begins_ms, self.opening)


class CalibrationCycle(Fault, CheckCycle):
    """An analyzer looks at zero and span gas and says so in its status register."""

    zh = "分析仪校准循环：零气、标气，状态寄存器同步指示"
    en = "an analyzer looks at zero gas and span gas in every cycle and says so in its status register"
    kind: Literal["calibration-cycle"]

    def value(self, register: Register, shown: Shown, occasion: Occasion) -> Shown:  # noqa: D102
        def now(at_ms: int) -> Doing:
            return doing(self, at_ms - occasion.begins_ms)

        if register.name == self.status:
            return lambda at_ms: Decimal(int(now(at_ms)))
        if register.name not in self.span_gas:
            return shown
        gases = {Doing.ZERO: Decimal(0), Doing.SPAN: self.span_gas[register.name]}
        return lambda at_ms: gases[now(at_ms)] if now(at_ms) in gases else shown(at_ms)


def anew(register: Register, shown: Shown, since_ms: int, opening: Decimal) -> Shown:
    """A counter that began at ``opening`` at an instant."""
    closing = shown(since_ms)

    def index(at_ms: int) -> Decimal:
        grown = shown(at_ms) - closing
        return opening + (grown if register.modulus is None else wrapped(grown, register.modulus))

    return index


def wrapped(number: Decimal, top: Decimal) -> Decimal:
    """A number brought into [0, top)."""
    return (number % top + top) % top
