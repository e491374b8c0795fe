"""What context does to a value: swaps in minimal pairs.

A situation is a state without its context; a minimal pair is one situation under two contexts. A context that is shown
can always be decoded, so these measures ask whether V moves as V* does when nothing but the context changes.

Shapes: N rows, S row cells, M situations, C contexts, G groups, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import numpy_generator
from analysis.instruments.held_out import resampled_groups
from analysis.instruments.value_tables import checked_table
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SwapEffect:
    """How V moves against V* over all ordered pairs of contexts (c, c') of a situation, D = f(s, c') - f(s, c).

    Attributes:
        slope: E[DV DV*] / E[DV*^2]; 1 where V moves as V* does, 0 where V is blind to context. NaN where V* is.
        slope_interval: Percentile bootstrap over groups of situations of one network, not over training seeds.
        correlation: E[DV DV*] / sqrt(E[DV^2] E[DV*^2]); NaN where either is 0.
        rms: sqrt E[DV^2], in units of value.
        rms_optimal: sqrt E[DV*^2], in units of value.
        spread_optimal: Standard deviation of V* over the whole table; `rms` / `spread_optimal` reads where V* is blind.
        explained: 1 - E[(DV - DV*)^2] / E[DV*^2], at most 1, negative where V moves wrongly; NaN where DV* = 0.
        context_share: Share of V's variance over the table that lies within situations, in [0, 1].
        context_share_optimal: The same of V*.
        num_situations: M.
        num_contexts: C.
    """

    slope: float
    slope_interval: tuple[float, float]
    correlation: float
    rms: float
    rms_optimal: float
    spread_optimal: float
    explained: float
    context_share: float
    context_share_optimal: float
    num_situations: int
    num_contexts: int


def swap_effect(
    values: Floats,
    optimal: Floats,
    *,
    seed: int,
    weights: Floats | None = None,
    groups: Ints | None = None,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> SwapEffect:
    """Compares how V and V* move when only the context changes.

    E is over situations with probability w_s and over ordered pairs of different contexts, uniformly. Every pair
    occurs in both directions, so means of D are 0 and the regression has no intercept. From the situation means,
    sum over ordered pairs of D f D g = 2 C sum_c (f_c - mean f)(g_c - mean g).

    Args:
        values: float64[M, C], V under each context, in units of (discounted) reward.
        optimal: float64[M, C], V* (or V of any reference) of the same.
        seed: Names the stream of the resamples.
        weights: float64[M], at least 0: occupancy; uniform where left out.
        groups: int64[M], what is resampled for the interval: levels. Each situation by itself where left out.
        num_resamples: R.
        level: Coverage of the interval, in (0, 1).

    Returns:
        `SwapEffect`.

    Raises:
        UserError: Tables of different or wrong shape, not finite, or fewer than two contexts.

    Cannot show: why V moves. A V that copies V*'s table and one made of shards both have slope 1.
    """
    p = checked_table(values, weights)
    checked_table(optimal, weights)
    if values.shape != optimal.shape:
        raise UserError(
            f"V has shape {values.shape} and V* {optimal.shape}; both need [situations, contexts] of the same"
        )
    v, o = (_centred(table) for table in (values, optimal))
    # 2 C / (C (C - 1)) turns a sum of squares about the situation's mean into a mean over ordered pairs.
    scale = 2.0 / (values.shape[1] - 1)
    cross, square, square_optimal = (scale * (a * b).sum(axis=1) for a, b in ((v, o), (v, v), (o, o)))
    e_cross, e_square, e_optimal = (float(p @ term) for term in (cross, square, square_optimal))
    return SwapEffect(
        slope=_ratio(e_cross, e_optimal),
        slope_interval=_slope_interval(
            p * cross,
            p * square_optimal,
            groups,
            num_resamples=num_resamples,
            level=level,
            stream=numpy_generator(seed, "swap"),
        ),
        correlation=_ratio(e_cross, np.sqrt(e_square * e_optimal)),
        rms=float(np.sqrt(e_square)),
        rms_optimal=float(np.sqrt(e_optimal)),
        spread_optimal=float(np.sqrt(p @ ((optimal - p @ optimal.mean(axis=1)) ** 2).mean(axis=1))),
        explained=1.0 - _ratio(e_square - 2.0 * e_cross + e_optimal, e_optimal),
        context_share=_within_share(values, p),
        context_share_optimal=_within_share(optimal, p),
        num_situations=len(values),
        num_contexts=values.shape[1],
    )


def _centred(table: Floats) -> Floats:
    """Subtracts each situation's mean over contexts."""
    return np.asarray(table - table.mean(axis=1, keepdims=True))


def _ratio(numerator: float, denominator: float) -> float:
    """Quotient, NaN where the denominator is no more than the rounding of values of order 1."""
    return float(numerator / denominator) if denominator > 1e-24 else float("nan")


def _within_share(table: Floats, weights: Floats) -> float:
    """Variance within situations over variance in all, NaN where the table is constant."""
    mean = weights @ table.mean(axis=1)
    return _ratio(
        float(weights @ (_centred(table) ** 2).sum(axis=1)), float(weights @ ((table - mean) ** 2).sum(axis=1))
    )


def _slope_interval(
    cross: Floats, square: Floats, groups: Ints | None, *, num_resamples: int, level: float, stream: np.random.Generator
) -> tuple[float, float]:
    """Percentiles of sum cross / sum square over bootstrap resamples of whole groups; NaN where V* does not move."""
    _, index = np.unique(np.arange(len(cross)) if groups is None else groups, return_inverse=True)
    num_groups = int(index.max()) + 1
    counts = resampled_groups(num_groups, num_resamples, stream=stream)
    numerator, denominator = (counts @ np.bincount(index, term) for term in (cross, square))
    slopes = numerator[denominator > 1e-24] / denominator[denominator > 1e-24]
    if not len(slopes):
        return float("nan"), float("nan")
    low, high = np.quantile(slopes, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)
