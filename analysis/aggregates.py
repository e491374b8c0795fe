"""Aggregates over seeds and tasks besides the mean, and the stratified bootstrap for them (Agarwal et al. 2021).

Definitions of arXiv 2108.13264 (package rliable): the interquartile mean pools all N J scores; the bootstrap resamples
the seeds of each task independently and takes percentiles. Scores should be normalised (random policy 0, optimum 1).

The percentile bootstrap is too narrow from few seeds (measured coverage of a nominal 95 % for the mean of normal
scores: .74, .82, .89, .92 at 3, 5, 10, 20 seeds), so it is refused below 10; use `analysis.statistics.t_interval`.

Shape key: N seeds, J tasks, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics import Interval, Scores, check_scores
from envs.errors import UserError, nearest

MIN_BOOTSTRAP_SEEDS = 10
MAX_DRAWS = 2_000_000
"""Scores resampled at a time, which bounds the memory."""

Aggregate = Callable[[Scores], Scores]


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: the mean of the middle half of all scores, int(N J / 4) cut at either end.

    Args:
        scores: [N, J].

    Returns:
        The mean itself where N J < 4, since nothing is cut.

    What it cannot show: what the best and the worst quarter of the runs do.
    """
    return float(_iqm(check_scores(scores, min_seeds=1)))


def optimality_gap(scores: ArrayLike) -> float:
    """1 - mean(min(score, 1)): how far runs fall short of the optimum 1; surplus does not compensate."""
    return float(_optimality_gap(check_scores(scores, min_seeds=1)))


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """Mean over tasks of P(X > Y) + P(X = Y) / 2, for X a seed of the first arm and Y one of the second.

    Equals the Mann-Whitney U / (N M) of each task, averaged.

    Args:
        first: [N, J].
        second: [M, J], the same tasks in the same order.

    What it cannot show: by how much.
    """
    return float(_improvement(*_same_tasks(first, second)))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Scores:
    """Share of all N J scores strictly above each threshold: float64 like ``thresholds``."""
    pooled = check_scores(scores, min_seeds=1).ravel()
    share: Scores = (pooled > np.asarray(thresholds, dtype=np.float64)[..., None]).mean(axis=-1)
    return share


def bootstrap_interval(
    scores: ArrayLike,
    aggregate: str = "iqm",
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    num_resamples: int = 10_000,
    whole_seeds: bool = False,
) -> Interval:
    """Percentile interval of the stratified bootstrap for an aggregate of the score matrix.

    Args:
        scores: [N, J], N >= 10.
        aggregate: a name in `AGGREGATES`.
        generator: source of the resampling, from a named stream.
        level: confidence, in (0, 1).
        num_resamples: R.
        whole_seeds: resample rows whole, for tasks that share one trained agent per seed; otherwise the seeds of each
            task are resampled independently, as rliable does.

    Raises:
        ValueError: fewer than 10 seeds.
        UserError: unknown aggregate.
    """
    table, function = _enough_seeds(scores), _aggregate(aggregate)
    draws = [
        function(_resample(table, size, generator, whole_seeds=whole_seeds)) for size in _chunks(table, num_resamples)
    ]
    low, high = np.quantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(function(table)), float(low), float(high), level, "stratified bootstrap", table.shape[0])


def improvement_interval(
    first: ArrayLike,
    second: ArrayLike,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    num_resamples: int = 2_000,
) -> Interval:
    """Percentile bootstrap interval for `probability_of_improvement`; both arms are resampled within each task."""
    x, y = _same_tasks(first, second)
    x, y = _enough_seeds(x), _enough_seeds(y)
    sizes = _chunks(np.empty((x.shape[0] * y.shape[0], x.shape[1])), num_resamples)
    draws = [_improvement(_resample(x, size, generator), _resample(y, size, generator)) for size in sizes]
    low, high = np.quantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    num_seeds = x.shape[0] + y.shape[0]
    return Interval(float(_improvement(x, y)), float(low), float(high), level, "stratified bootstrap", num_seeds)


def _iqm(scores: Scores) -> Scores:
    """[..., N, J] -> [...]."""
    pooled = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = pooled.shape[-1] // 4
    middle: Scores = pooled[..., cut : pooled.shape[-1] - cut].mean(axis=-1)
    return middle


def _mean(scores: Scores) -> Scores:
    return np.asarray(scores.mean(axis=(-2, -1)))


def _median(scores: Scores) -> Scores:
    """Median over tasks of the mean over seeds, as in the benchmark literature."""
    return np.asarray(np.median(scores.mean(axis=-2), axis=-1))


def _optimality_gap(scores: Scores) -> Scores:
    return np.asarray(1 - np.minimum(scores, 1).mean(axis=(-2, -1)))


def _improvement(x: Scores, y: Scores) -> Scores:
    """[..., N, J] against [..., M, J] -> [...]."""
    gaps = x[..., :, None, :] - y[..., None, :, :]
    return np.asarray(((gaps > 0) + 0.5 * (gaps == 0)).mean(axis=(-3, -2, -1)))


AGGREGATES: Mapping[str, Aggregate] = MappingProxyType(
    {"iqm": _iqm, "mean": _mean, "median": _median, "optimality_gap": _optimality_gap}
)


def _aggregate(name: str) -> Aggregate:
    if name not in AGGREGATES:
        raise UserError(f"Unknown aggregate {name!r}; known are {sorted(AGGREGATES)}.{nearest(name, AGGREGATES)}")
    return AGGREGATES[name]


def _enough_seeds(scores: ArrayLike) -> Scores:
    table = check_scores(scores)
    if table.shape[0] < MIN_BOOTSTRAP_SEEDS:
        raise ValueError(
            f"There are {table.shape[0]} seeds, but the percentile bootstrap covers too little below "
            f"{MIN_BOOTSTRAP_SEEDS}; use t_interval, or run more seeds."
        )
    return table


def _same_tasks(first: ArrayLike, second: ArrayLike) -> tuple[Scores, Scores]:
    x, y = check_scores(first, min_seeds=1), check_scores(second, min_seeds=1)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"The arms have {x.shape[1]} and {y.shape[1]} tasks; give both the same tasks in one order.")
    return x, y


def _resample(table: Scores, size: int, generator: np.random.Generator, *, whole_seeds: bool = False) -> Scores:
    """[N, J] -> [size, N, J], rows drawn with replacement, each task by itself unless ``whole_seeds``."""
    num_seeds, num_tasks = table.shape
    rows = generator.integers(num_seeds, size=(size, num_seeds, 1 if whole_seeds else num_tasks))
    return table[rows, np.arange(num_tasks)]


def _chunks(table: Scores, num_resamples: int) -> list[int]:
    size = max(1, MAX_DRAWS // table.size)
    return [min(size, num_resamples - start) for start in range(0, num_resamples, size)]
