"""Powers at which an exact answer changes, found from the solver alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

WIDTH = Fraction(1, 2**13)
STEP = Fraction(1, 1000)


def threshold(holds: Callable[[Fraction], bool], *, low: Fraction, high: Fraction) -> Fraction | None:
    """The number above which something holds, where it holds nowhere below: bisection, then the simplest fraction.

    Args:
        holds: Of a power; false up to the threshold, true above it.
        low: A power at which it does not hold.
        high: The greatest power to try.

    Returns:
        The simplest fraction of the last interval at which it does not hold and shortly above which it does; None where
        it does not hold at `high`.

    Raises:
        ValueError: It holds at `low`, or the threshold is no simple fraction.
    """
    if holds(low):
        raise ValueError(f"it holds at {low} already")
    if not holds(high):
        return None
    top = high
    while high - low > WIDTH:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    found = simplest(low, high)
    if holds(found) or not holds(min(found + STEP, top)):
        raise ValueError(f"no simple threshold between {low} and {high}")
    return found


def simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of the smallest denominator in [low, high], 0 <= low <= high."""
    whole = -(-low.numerator // low.denominator)
    if whole <= high:
        return Fraction(whole)
    floor = whole - 1
    return floor + 1 / simplest(1 / (high - floor), 1 / (low - floor))
