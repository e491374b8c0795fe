"""Is V the sum of many small independent contributions? Each of the three words has its own number.

    V(s) = b + sum_j c_j(s)

    many, small   n_eff = (sum_j var_j)^2 / sum_j var_j^2, and the share of sum_j var_j that the largest k hold
    independent   R = Var(V) / sum_j var_j: 1 where contributions are uncorrelated, n for n copies, below 1 where they
                  cancel
    all three     excess kurtosis of V = sum_j var_j^2 kappa_j / (sum_j var_j)^2 = mean kappa / n_eff, with kappa_j the
                  excess kurtosis of c_j and the mean weighted by var_j^2

var_j is taken over states. The central limit theorem speaks about V over states alone: not about the c_j of one state,
and not about one c_j over states.

Shapes: n rows, d contributions, G groups (episodes or levels), R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.instruments.held_out import resampled_groups
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Range = tuple[float, float]

TOP = (1, 5, 10)
"""Numbers of largest contributions whose share is given."""


@dataclass(frozen=True)
class ContributionSum:
    """How V's contributions add up, within one network.

    Attributes:
        num_contributions: d, without those that never vary.
        num_silent: Contributions that never vary.
        n_eff: In [1, d].
        n_eff_interval: Bootstrap over groups.
        top_shares: Share of sum_j var_j held by the 1, 5 and 10 largest, in [0, 1].
        ratio: R, in [0, d].
        ratio_interval: Bootstrap over groups.
        ratio_shuffled: Mean and standard deviation of R where each contribution's rows are shuffled by themselves: the
            null with the same marginals.
        kurtosis: Excess kurtosis of V, 0 for a normal law; NaN where V does not vary.
        kurtosis_interval: Bootstrap over groups.
        kurtosis_independent: What it would be if the contributions were independent.
        mean_kurtosis: Mean kappa_j, weighted by var_j^2: `kurtosis_independent` is this / n_eff.
    """

    num_contributions: int
    num_silent: int
    n_eff: float
    n_eff_interval: Range
    top_shares: tuple[float, ...]
    ratio: float
    ratio_interval: Range
    ratio_shuffled: tuple[float, float]
    kurtosis: float
    kurtosis_interval: Range
    kurtosis_independent: float
    mean_kurtosis: float


def contribution_sum(
    contributions: Floats,
    groups: Ints,
    *,
    stream: np.random.Generator,
    num_resamples: int = 1000,
    num_shuffles: int = 20,
    level: float = 0.95,
) -> ContributionSum:
    """Measures how many, how small and how independent the contributions are.

    Args:
        contributions: float64[n, d], finite, c_j(s) up to a constant each.
        groups: int64[n], what is resampled.
        stream: Of resamples and shuffles.
        num_resamples: R.
        num_shuffles: Of the null.
        level: Coverage of the intervals, in (0, 1).


    Raises:
        UserError: Fewer than two contributions vary.

    Cannot show: that contributions are heuristics, nor that uncorrelated ones are independent. R compares variances, so
    a common cause that pushes half of them up and half of them down leaves it at 1.
    """
    varies = np.ptp(contributions, axis=0) > 0
    if varies.sum() < 2:
        raise UserError(
            f"{varies.sum()} of {contributions.shape[1]} contributions vary over the {len(contributions)} rows; a sum "
            "needs at least two, so read a layer that is alive, or more states"
        )
    centred = contributions[:, varies] - contributions[:, varies].mean(axis=0)
    index = np.unique(groups, return_inverse=True)[1]
    sums = _sums_by_group(centred, index)
    n_eff, ratio, kurtosis = (float(found[0]) for found in _measures(np.ones((1, len(sums.rows))), sums))
    draws = _measures(resampled_groups(len(sums.rows), num_resamples, stream=stream), sums)
    estimates = zip((n_eff, ratio, kurtosis), draws, strict=True)
    intervals = [_interval(estimate, draw, level=level) for estimate, draw in estimates]
    variances = (centred**2).mean(axis=0)
    shuffled = np.array([stream.permuted(centred, axis=0).sum(axis=1).var() for _ in range(num_shuffles)])
    excess = (centred**4).mean(axis=0) / variances**2 - 3.0
    mean_kurtosis = float(np.average(excess, weights=variances**2))
    return ContributionSum(
        num_contributions=int(varies.sum()),
        num_silent=int((~varies).sum()),
        n_eff=n_eff,
        n_eff_interval=intervals[0],
        top_shares=tuple(float(np.sort(variances)[::-1][:k].sum() / variances.sum()) for k in TOP),
        ratio=ratio,
        ratio_interval=intervals[1],
        ratio_shuffled=(float(shuffled.mean() / variances.sum()), float(shuffled.std() / variances.sum())),
        kurtosis=kurtosis,
        kurtosis_interval=intervals[2],
        kurtosis_independent=mean_kurtosis / n_eff,
        mean_kurtosis=mean_kurtosis,
    )


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the rows of each group, of which every measure is a function: float64[G, ...]."""

    rows: Floats
    first: Floats
    second: Floats
    powers: Floats


def _sums_by_group(centred: Floats, index: Ints) -> _Sums:
    """Rows, sums of c_j and c_j^2 [G, d], and sums of the first four powers of V [G, 4]."""
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(index.max() + 1))
    ordered = centred[order]
    total = ordered.sum(axis=1)
    powers = total[:, None] ** np.arange(1, 5)
    rows = np.diff(starts, append=len(index)).astype(np.float64)
    return _Sums(rows, *(np.add.reduceat(each, starts, axis=0) for each in (ordered, ordered**2, powers)))


def _measures(draws: NDArray[np.number], sums: _Sums) -> tuple[Floats, Floats, Floats]:
    """n_eff, R and the excess kurtosis of V of R weightings of the groups [R, G]: three float64[R]."""
    rows = draws @ sums.rows
    variances = (draws @ sums.second) / rows[:, None] - ((draws @ sums.first) / rows[:, None]) ** 2
    one, two, three, four = (draws @ sums.powers / rows[:, None]).T
    variance = two - one**2
    fourth = four - 4 * one * three + 6 * one**2 * two - 3 * one**4
    total = variances.sum(axis=1)
    # Contributions that always add up to one number leave rounding errors, which have no shape.
    moves = variance > 1e-12 * total
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = np.where(moves, fourth / variance**2 - 3.0, np.nan)
        return total**2 / (variances**2).sum(axis=1), np.maximum(variance, 0.0) / total, kurtosis


def _interval(estimate: float, draws: Floats, *, level: float) -> Range:
    """Percentiles of the resamples, moved so that their median is the estimate.

    A resample's variances are noisier than the sample's, so that its n_eff is lower; unmoved, the interval of many
    equal contributions lies below their n_eff.
    """
    if np.isnan(draws).all():
        return np.nan, np.nan
    low, middle, high = np.nanquantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return float(estimate + low - middle), float(estimate + high - middle)
