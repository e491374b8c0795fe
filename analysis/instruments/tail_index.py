"""How a tail falls: Hill's index with its drift, and whether -ln S is a line in r or in r^2.

Hill's estimate is a number whatever the law is. Only where it stays the same from the outermost values inwards is it
the exponent of a power law; Laplace's and the normal law make it fall all the way.

Shapes: m distances, K ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HillPlot:
    """Hill's tail index by the number of values used.

    Attributes:
        ranks: int64[K], k, ascending.
        index: float64[K], alpha(k); S(r) ~ r^-alpha if it does not depend on k.
        error: float64[K], alpha / sqrt(k), for independent values.
        drifts: Whether alpha differs between the smallest and the largest k by more than 3 standard errors of the
            difference (of 1 / alpha): not a power law on this range.
    """

    ranks: Ints
    index: Floats
    error: Floats
    drifts: bool


@dataclass(frozen=True)
class LogSurvival:
    """R^2 of the straight lines of -ln S(r) on r (exponential tail) and on r^2 (normal tail)."""

    linear: float
    square: float


def hill(distances: Floats, ranks: Ints) -> HillPlot:
    """1 / alpha(k) = mean_{i <= k} ln(r_(i) / r_(k + 1)), r_(1) the largest (Hill 1975).

    Args:
        distances: float64[m].
        ranks: int64[K], ascending, from 2 to m - 1.

    Raises:
        UserError: A rank out of range, or a tail that does not lie above 0.
    """
    logs_of = np.sort(distances)[::-1][: int(ranks[-1]) + 1]
    if ranks[0] < 2 or len(logs_of) <= ranks[-1] or logs_of[-1] <= 0 or (np.diff(ranks) <= 0).any():
        raise UserError(
            f"Hill's index was asked for at ranks {ranks[0]} to {ranks[-1]} of {len(distances)} distances, "
            f"{int((distances > 0).sum())} of them above 0; ranks ascend from 2 and stay below that number"
        )
    logs = np.log(logs_of)
    inverse = np.cumsum(logs)[ranks - 1] / ranks - logs[ranks]
    with np.errstate(divide="ignore"):
        index = 1.0 / inverse
        spread = np.hypot(*(inverse[[0, -1]] / np.sqrt(ranks[[0, -1]])))
    return HillPlot(ranks, index, index / np.sqrt(ranks), bool(abs(inverse[0] - inverse[-1]) > 3.0 * spread))


def ranks_of(num_distances: int) -> Ints:
    """Eight ranks in equal ratios from max(10, .25 %) to 20 % of the distances, where a Hill plot is looked at."""
    low, high = max(10.0, 0.0025 * num_distances), max(20.0, 0.2 * num_distances)
    return np.unique(np.geomspace(low, high, 8).round().astype(np.int64))


def log_survival(distances: Floats, *, quantiles: tuple[float, float] = (0.9, 0.999)) -> LogSurvival:
    """Fits -ln S by least squares on r and on r^2 between two quantiles of r.

    Each distinct distance is one point, at S = share of distances above or equal to it, counted to its middle, so that
    values on a lattice need no jitter.
    """
    place, counts = np.unique(distances, return_counts=True)
    above = len(distances) - np.cumsum(counts) + 0.5 * counts
    survival = above / len(distances)
    chosen = (survival <= 1 - quantiles[0]) & (survival >= 1 - quantiles[1])
    if chosen.sum() < 3:
        return LogSurvival(np.nan, np.nan)
    height = -np.log(survival[chosen])
    return LogSurvival(*(float(np.corrcoef(place[chosen] ** power, height)[0, 1] ** 2) for power in (1, 2)))
