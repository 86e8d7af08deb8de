"""Scales: where a value lies along an axis, and the round numbers that are written beside it."""

import math
from dataclasses import dataclass

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SPANS = (("s", 1.0, 180.0), ("min", 60.0, 10_800.0), ("h", 3_600.0, 259_200.0))
_DAY = ("days", 86_400.0)
_MANY = 1e9


@dataclass(frozen=True)
class Tick:
    """A round number on an axis, in the units of the data, and how it is written."""

    value: float
    text: str


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`; what lies outside is drawn at the border."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    unit: str = ""

    def at(self, value: float) -> float:
        """Return the place of a value: 0 at `low`, 1 at `high`."""
        if math.isnan(value) or self.high <= self.low:
            return 0.0
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def time_scale(seconds: float) -> Scale:
    """Return an axis of time from 0, in the unit that fits."""
    length = max(1.0, seconds)
    unit, size = next(((u, s) for u, s, most in _SPANS if length <= most), _DAY)
    step = _round_step(length / size / 8, whole=unit != "s", dozens=unit in ("s", "min"))
    count = int(length / size / step + 1e-9)
    ticks = tuple(Tick(n * step * size, f"{n * step:g}") for n in range(count + 1))
    return Scale(0, length, ticks, unit)


def share_scale(most: float) -> Scale:
    """Return an axis of per cent from 0 to beyond `most`, a share of 0 to 1."""
    percent = min(100.0, max(0.1, most * 100))
    step = _round_step(percent / 4)
    count = math.ceil(percent / step - 1e-9)
    ticks = tuple(Tick(n * step / 100, f"{n * step:g} %") for n in range(count + 1))
    return Scale(0, count * step / 100, ticks, "%")


def number_scale(low: float, high: float, unit: str = "") -> Scale:
    """Return an axis of plain numbers that holds `low` and `high`, and 0 if it is near."""
    low = 0.0 if 0 <= low < high / 2 else low
    step = _round_step((high - low or abs(high) or 1.0) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = tuple(Tick(n * step, f"{n * step:,g}") for n in range(first, last + 1))
    return Scale(first * step, last * step, ticks, unit)


def power_scale(low: float, high: float) -> Scale:
    """Return an axis of powers of ten; the values are decimal exponents."""
    step = max(1, math.ceil((high - low) / 6))
    first, last = math.ceil(low / step - 1e-9), math.ceil(high / step - 1e-9)
    exponents = range(first * step, max(last, first + 1) * step + 1, step)
    ticks = tuple(Tick(float(power), power_text(power)) for power in exponents)
    return Scale(min(low, float(exponents[0])), float(exponents[-1]), ticks)


def milliseconds_scale(low: float, high: float) -> Scale:
    """Return an axis of durations in 1, 2, 5 per power of ten; values are decimal logarithms."""
    low, high = math.log10(max(low, 0.01)), math.log10(max(high, 0.02))
    first, last = math.floor(low), math.ceil(high)
    steps = (1,) if last - first > 3 else (1, 2, 5)
    found = [math.log10(n) + power for power in range(first, last + 1) for n in steps]
    begin = max((each for each in found if each <= low + 1e-9), default=found[0])
    end = min((each for each in found if each >= high - 1e-9 and each > begin), default=found[-1])
    kept = [each for each in found if begin <= each <= end]
    return Scale(begin, end, tuple(Tick(each, _plain(10**each)) for each in kept), "ms")


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:.2g}"


def power_text(exponent: int) -> str:
    """Return a power of ten as people write it."""
    if 0 <= exponent <= 4:
        return f"{10**exponent:,}"
    if -3 <= exponent < 0:
        return f"{10.0**exponent:g}"
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def _round_step(least: float, *, whole: bool = False, dozens: bool = False) -> float:
    """Return the smallest round step of at least this size; minutes and seconds have dozens."""
    if dozens and least > 0.5:
        rounds = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1_800, 3_600)
        return float(next((step for step in rounds if step >= least), _MANY))
    power = 10.0 ** math.floor(math.log10(max(least, 1e-9)))
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= least * (1 - 1e-9))
    return max(1.0, math.ceil(step)) if whole else step
