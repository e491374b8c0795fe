"""Equivalence is shown, never inferred from a test that failed to find a difference: two one-sided tests (TOST).

p = max(P(T > (mean + margin) / se), P(T < (mean - margin) / se)); equivalent iff p < alpha iff the 1 - 2 alpha
interval lies inside (-margin, margin) (Schuirmann 1987). The margin is the smallest difference of interest in the
scores' own unit and is fixed before the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike
from scipy import special

from analysis.statistics import Interval, TTest, paired_t_test, t_ratio, welch


@dataclass(frozen=True)
class Equivalence:
    """The answer of TOST: ``equivalent`` iff ``interval`` (level 1 - 2 alpha) lies inside (-margin, margin)."""

    equivalent: bool
    p_value: float
    interval: Interval
    margin: float


def tost(differences: ArrayLike, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """TOST on paired differences.

    Args:
        differences: [N, J] first arm minus second, one row per training seed.
        margin: > 0, in the scores' unit.
        alpha: size of each one-sided test, in (0, .5).

    Raises:
        ValueError: margin is not positive, or the differences are not one row per seed.

    What it cannot show: that two arms are the same; only that their means differ by less than the margin.
    """
    return _equivalence(paired_t_test(differences, level=1 - 2 * alpha), margin=margin)


def tost_welch(first: ArrayLike, second: ArrayLike, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """TOST for two arms [N_1, J] and [N_2, J] that share no seeds, with Welch's error and degrees of freedom."""
    return _equivalence(welch(first, second, level=1 - 2 * alpha), margin=margin)


def _equivalence(test: TTest, *, margin: float) -> Equivalence:
    if not margin > 0:
        raise ValueError(f"margin is {margin}, but must be above 0: the smallest difference of interest.")
    degrees, error = test.degrees_of_freedom, test.standard_error
    not_above_minus = float(special.stdtr(degrees, -t_ratio(test.difference + margin, error)))
    not_below_plus = float(special.stdtr(degrees, t_ratio(test.difference - margin, error)))
    return Equivalence(test.interval.inside(margin), max(not_above_minus, not_below_plus), test.interval, margin)
