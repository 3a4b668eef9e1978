"""Where the ticks of a chart stand, and two significant digits for hover texts."""

import math
from collections.abc import Sequence


def log_range(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis, as powers of ten, with room beside the outermost points."""
    positive = [value for value in values if value > 0]
    if not positive:
        return 0.0, 1.0
    low, high = math.log10(min(positive)), math.log10(max(positive))
    room = max(0.04, 0.06 * (high - low))
    return low - room, high + 1.4 * room


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks at 1, 2, 5; denser multiples, then even steps, where those give fewer than three."""
    for multiples in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [
            round(m * 10.0**power, 12)
            for power in range(math.floor(low), math.ceil(high) + 1)
            for m in multiples
            if low <= math.log10(m * 10.0**power) <= high
        ]
        if len(ticks) >= 3:
            return ticks[:: 1 + len(ticks) // 9]
    return linear_ticks(10.0**low, 10.0**high, 5)


def linear_ticks(low: float, high: float, wanted: int) -> list[float]:
    """About that many ticks at round steps between two values."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def two_digits(value: float) -> str:
    """A predicted value as the pages write it: two significant digits, "<0.01" below 0.005."""
    if value == 0:
        return "0"
    if abs(value) < 0.005:
        return "<0.01"
    exponent = math.floor(math.log10(abs(value)))
    rounded = float(f"{value:.1e}")
    decimals = min(4, max(0, 1 - math.floor(math.log10(abs(rounded)))))
    return f"{rounded:,.0f}" if exponent >= 1 else f"{rounded:.{decimals}f}"
