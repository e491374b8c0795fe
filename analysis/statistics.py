"""Means of per-seed scores and what is known about them: intervals and tests with Student's t and Welch's.

The replication unit is the training seed (never the episode, the state or the step). Scores come as a matrix
[num_seeds, num_tasks], one number per seed and task; what lies inside a seed is averaged first (`mean_by_seed`).

The default interval is `t_interval` at any number of seeds. Measured coverage of a nominal 95 % at 5, 10, 20 seeds
(100,000 simulated studies each): normal .950, .950, .950; uniform .934, .947, .948; Beta(2, 2) .941, .947, .949. A
difference of two arms of like shape is symmetric, and covered at .946 to .961 for every shape in
`analysis.false_alarms`. Where one arm's scores crowd at its bounds it covers less: U-shaped Beta(1/2, 1/2) .927, .945,
.948; Beta(8, 1) .90, .92, .93; lognormal .82, .84, .86. No interval can repair that for all bounded scores: five seeds
of a score that is 1 with probability .9 and else 0 agree in 59 % of studies, and say nothing of the rest (Bahadur &
Savage 1956). Hall's (1992) skewness-corrected t covers .93 to .96 of them at 5 seeds, but is a third wider where scores
are normal, covers .98 of U-shaped ones at 10, and is not what the rules name. So show every seed as a dot.

Shape key: N seeds, J tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Scores = NDArray[np.float64]
Bounds = tuple[float, float]
ANY: Bounds = (-np.inf, np.inf)
MAX_SEEDS = 1000
"""More rows than this are taken for episodes: nobody trains so many agents for one comparison."""


@dataclass(frozen=True)
class Interval:
    """An interval for a number: ``low <= estimate <= high`` at confidence ``level``, and how it was computed."""

    estimate: float
    low: float
    high: float
    level: float
    method: str
    num_seeds: int

    @property
    def ends(self) -> tuple[float, float]:
        """``low`` and ``high``."""
        return self.low, self.high

    def text(self, *, sign: str = "", decimals: int = 3) -> str:
        """Estimate and ends, as in "0.012 [0.004, 0.020]"; the sign "+" is shown at all three."""
        form = f"{sign}.{decimals}f"
        return f"{self.estimate:{form}} [{self.low:{form}}, {self.high:{form}}]"

    def within(self, bounds: Bounds) -> Interval:
        """Cut to what a mean of scores within these bounds can be, by which it covers no less."""
        return replace(self, low=max(self.low, bounds[0]), high=min(self.high, bounds[1]))

    def excludes(self, value: float) -> bool:
        """Whether ``value`` lies outside the interval."""
        return not self.low <= value <= self.high

    def inside(self, margin: float) -> bool:
        """Whether the whole interval lies strictly inside (-margin, margin)."""
        return -margin < self.low and self.high < margin


@dataclass(frozen=True)
class TTest:
    """A two-sided test that a difference is 0: its interval, t = difference / standard_error, and the p value."""

    difference: float
    interval: Interval
    standard_error: float
    degrees_of_freedom: float
    p_value: float


def check_scores(scores: ArrayLike, *, min_seeds: int = 2) -> Scores:
    """Return ``scores`` as float64[N, J], or say why they are not one score per seed and task.

    Args:
        scores: [N, J] finite numbers, one row per training seed.
        min_seeds: smallest N allowed.

    Raises:
        ValueError: not two-dimensional (episodes or steps inside), too few rows, too many rows to be seeds, not finite.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(
            f"Scores have shape {array.shape}, but one score per seed and task is needed, shape "
            "(num_seeds, num_tasks); episodes are not runs: average them within each seed first, with mean_by_seed."
        )
    if not min_seeds <= array.shape[0] <= MAX_SEEDS or array.shape[1] == 0:
        raise ValueError(
            f"Scores have shape {array.shape}, but the rows must be {min_seeds} to {MAX_SEEDS} training seeds and the "
            "columns at least one task; if the rows are episodes, average them within each seed with mean_by_seed."
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"The score of row {row}, task {column} is {array[row, column]}, but all must be finite; leave the seed "
            "out in every arm and report how many are missing."
        )
    return array


def mean_by_seed(values: ArrayLike, seeds: Sequence[int]) -> tuple[Scores, tuple[int, ...]]:
    """Average whatever was measured inside a seed (episodes, states): the step before every function here.

    Args:
        values: float[n] or float[n, J], one row per episode or state.
        seeds: the n training seeds that the rows belong to.

    Returns:
        The means [N, J] and the N seeds in ascending order.

    Raises:
        ValueError: lengths differ.
    """
    table, owner = np.asarray(values, dtype=np.float64), np.asarray(seeds)
    if table.ndim not in (1, 2) or owner.shape != table.shape[:1]:
        raise ValueError(f"{table.shape} values and {owner.shape} seeds do not match; give one seed for each row.")
    table = table[:, None] if table.ndim == 1 else table
    unique = np.unique(owner)
    return np.stack([table[owner == seed].mean(axis=0) for seed in unique]), tuple(int(seed) for seed in unique)


def t_interval(scores: ArrayLike, *, level: float = 0.95) -> Interval:
    """Student's interval for the mean over seeds of the per-seed mean over tasks: the default interval.

    x_i = mean_j scores[i, j];  mean(x) +- t_{(1+level)/2, N-1} sd(x) / sqrt(N).

    Args:
        scores: [N, J], N >= 2.
        level: confidence, in (0, 1).

    Returns:
        The interval; of width 0 where all seeds agree.

    What it cannot show: anything about tasks that were not run (tasks are taken as fixed); and for skewed scores it
    covers less than it says.
    """
    return paired_t_test(scores, level=level).interval


def pointwise_intervals(scores: ArrayLike, *, level: float = 0.95) -> Scores:
    """Student's interval of each column of scores [N, T], N >= 2 seeds: float64[T, 2], NaN where a seed has no score.

    Each holds its own mean with this confidence; that a whole curve lies between them is less sure.
    """
    table = np.asarray(scores, dtype=np.float64)
    half = float(special.stdtrit(len(table) - 1, (1 + level) / 2)) * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    mean = table.mean(axis=0)
    return np.stack([mean - half, mean + half], axis=1)


def paired_t_test(differences: ArrayLike, *, level: float = 0.95) -> TTest:
    """Two-sided t test that the mean over seeds is 0; give it the paired differences [N, J] of two arms.

    t = mean(x) / (sd(x) / sqrt(N)), df = N - 1. Where all seeds agree exactly, p is 1 for a mean of 0, otherwise 0.
    """
    per_seed = check_scores(differences).mean(axis=1)
    error = float(per_seed.std(ddof=1) / np.sqrt(per_seed.size))
    spread = (error, per_seed.size - 1.0)
    return _t_test(float(per_seed.mean()), spread, level=level, method="t on per-seed scores", num_seeds=per_seed.size)


def welch(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> TTest:
    """Welch's test and interval for mean(first) - mean(second) of two arms that share no seeds.

    v_i = var_i / N_i;  t = difference / sqrt(v_1 + v_2);  df = (v_1 + v_2)^2 / sum_i v_i^2 / (N_i - 1).

    Args:
        first: [N_1, J].
        second: [N_2, J].
        level: confidence, in (0, 1).

    Raises:
        ValueError: the numbers of tasks differ.
    """
    x, y = check_scores(first), check_scores(second)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"The arms have {x.shape[1]} and {y.shape[1]} tasks; give both the same tasks in one order.")
    x, y = x.mean(axis=1), y.mean(axis=1)
    parts = np.array([x.var(ddof=1) / x.size, y.var(ddof=1) / y.size])
    total = float(parts.sum())
    degrees = total**2 / float((parts**2 / [x.size - 1, y.size - 1]).sum()) if total > 0 else x.size + y.size - 2.0
    spread = (total**0.5, degrees)
    return _t_test(float(x.mean() - y.mean()), spread, level=level, method="Welch", num_seeds=x.size + y.size)


def paired_differences(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """First minus second for each seed that both arms have, in ascending order of the seed.

    Both maps go from training seed to that seed's one score, so episodes cannot pass as runs. Seeds that one arm
    lacks are left out; give the planned seeds to `analysis.verdicts.decide`, which names the missing ones.
    """
    return {seed: float(first[seed]) - float(second[seed]) for seed in sorted(first.keys() & second.keys())}


def seed_column(per_seed: Mapping[int, float], name: str) -> Scores:
    """Return the scores [N, 1] of a map from training seed to score, by ascending seed; ``name`` is for the error.

    Raises:
        ValueError: fewer than 2 seeds, or a score that is not finite.
    """
    if len(per_seed) < 2:
        raise ValueError(f"{name} has scores for {len(per_seed)} seed(s), but an interval needs at least 2; run more.")
    return check_scores([[per_seed[seed]] for seed in sorted(per_seed)])


def interval_over_seeds(per_seed: Mapping[int, float], *, bounds: Bounds = ANY) -> Interval | None:
    """The `t_interval` of a map from training seed to score in `bounds`; None where fewer than 2 seeds allow none."""
    return t_interval(seed_column(per_seed, "The line")).within(bounds) if len(per_seed) > 1 else None


def column(rows: Mapping[int, Mapping[str, Any]], name: str) -> dict[int, float]:
    """One number of the row of each training seed, in the order of seeds."""
    return {seed: float(row[name]) for seed, row in sorted(rows.items())}


def seeds_text(per_seed: Mapping[int, float], *, decimals: int = 3, bounds: Bounds = ANY) -> str:
    """Mean and `interval_over_seeds`, or the one score, as in "0.012 [0.004, 0.020]"; "–" where there is none."""
    interval = interval_over_seeds(per_seed, bounds=bounds)
    if interval is not None:
        return interval.text(decimals=decimals)
    return next((f"{score:.{decimals}f}" for score in per_seed.values()), "–")


def t_ratio(difference: float, error: float) -> float:
    """Return difference / error, with 0 / 0 = 0 and otherwise a signed infinity where the error is 0."""
    if error > 0:
        return difference / error
    return float(np.copysign(np.inf, difference)) if difference else 0.0


def _t_test(difference: float, spread: tuple[float, float], *, level: float, method: str, num_seeds: int) -> TTest:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but must lie in (0, 1); a usual choice is 0.95.")
    error, degrees = spread
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * error
    interval = Interval(difference, difference - half, difference + half, level, method, num_seeds)
    p_value = 2 * float(special.stdtr(degrees, -abs(t_ratio(difference, error))))
    return TTest(difference, interval, error, degrees, p_value)
