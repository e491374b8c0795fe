"""How many seeds decide: exact power of the t rules for normal scores, with and without a margin.

For normal scores the mean x and the variance estimate S^2 are independent: x ~ N(mean, c sd^2) and
S^2 / sd^2 ~ chi^2_df / df, with c = 1 / N, df = N - 1 for N paired differences, and c = 2 / N, df = 2 N - 2 for two
arms of N seeds. Both rules are conditions on |x| given S, so power is a one-dimensional integral over S, taken here
at 400 equally likely quantiles of chi^2 (error below .001).

- difference: |x| > max(margin, t_{1 - alpha/2} S sqrt(c)), on the side of the true mean;
- equivalence: |x| < margin - t_{1 - alpha} S sqrt(c).

What it cannot show: power for scores far from normal; and a number of seeds computed from a pilot's own mean and
standard deviation is as uncertain as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

NUM_NODES = 400
MAX_SEEDS_NEEDED = 10_000


@dataclass(frozen=True)
class Effect:
    """What is assumed to be true: the ``mean`` difference and the ``sd`` of one seed's score.

    If ``paired``, ``sd`` is that of one seed's difference; otherwise that of one score within an arm.
    """

    mean: float
    sd: float
    paired: bool = True


def difference_power(num_seeds: int, effect: Effect, *, alpha: float = 0.05, margin: float = 0.0) -> float:
    """Chance that the 1 - alpha interval excludes 0 and the mean exceeds ``margin``, with the true sign.

    Args:
        num_seeds: N >= 2, differences or seeds per arm.
        effect: the assumed truth.
        alpha: two-sided size.
        margin: >= 0, in the scores' unit.
    """
    error, spread = _errors(num_seeds, effect)
    threshold = np.maximum(margin, _t_quantile(num_seeds, effect, 1 - alpha / 2) * spread)
    return float(special.ndtr(_standardise(abs(effect.mean) - threshold, error)).mean())


def equivalence_power(num_seeds: int, effect: Effect, *, margin: float, alpha: float = 0.05) -> float:
    """Chance that the 1 - 2 alpha interval lies inside (-margin, margin).

    Args:
        num_seeds: N >= 2, differences or seeds per arm.
        effect: the assumed truth; its mean is usually 0.
        margin: > 0, in the scores' unit.
        alpha: size of each one-sided test.
    """
    error, spread = _errors(num_seeds, effect)
    room = np.maximum(0.0, margin - _t_quantile(num_seeds, effect, 1 - alpha) * spread)
    upper, lower = (
        special.ndtr(_standardise(room - effect.mean, error)),
        special.ndtr(_standardise(-room - effect.mean, error)),
    )
    return float(np.where(room > 0, upper - lower, 0.0).mean())


def seeds_needed(power_at: Callable[[int], float], *, power: float = 0.8, at_least: int = 2) -> int | None:
    """Smallest number of seeds with ``power_at(num_seeds) >= power``; None where 10,000 are not enough.

    Doubles from ``at_least`` and then bisects, which is right because power rises with the number of seeds.
    """
    low, high = at_least - 1, at_least
    while power_at(high) < power:
        if high >= MAX_SEEDS_NEEDED:
            return None
        low, high = high, min(2 * high, MAX_SEEDS_NEEDED)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high


def _degrees(num_seeds: int, effect: Effect) -> int:
    return num_seeds - 1 if effect.paired else 2 * num_seeds - 2


def _t_quantile(num_seeds: int, effect: Effect, probability: float) -> float:
    return float(special.stdtrit(_degrees(num_seeds, effect), probability))


def _errors(num_seeds: int, effect: Effect) -> tuple[float, NDArray[np.float64]]:
    """The true standard error of the mean and its estimates at the nodes [NUM_NODES]."""
    error = effect.sd * (1 if effect.paired else 2) ** 0.5 / num_seeds**0.5
    degrees = _degrees(num_seeds, effect)
    upper_tail = 1 - (np.arange(NUM_NODES) + 0.5) / NUM_NODES
    return error, error * np.sqrt(special.chdtri(degrees, upper_tail) / degrees)


def _standardise(distance: NDArray[np.float64], error: float) -> NDArray[np.float64]:
    return distance / error if error > 0 else np.where(distance > 0, np.inf, -np.inf)
