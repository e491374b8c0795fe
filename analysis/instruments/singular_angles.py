"""How much of one read subspace lies in another: shards among themselves, and a monolith against shards.

The overlap of subspaces of k and l dimensions is the mean squared cosine of their min(k, l) principal angles: 1 where
one contains the other, 0 where they are orthogonal, and max(k, l)/d on average for random subspaces of R^d.

Read directions of two agents can be compared only where both read the same encoder. Otherwise compare what they read as
functions of the same states (`function_overlap`), which no change of basis alters.

Shapes: k and l directions, d features, K parts, n states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import subspace_angles

from analysis.instruments.arrays import finite_matrix
from envs.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """How far two subspaces share their directions.

    Attributes:
        share: Mean squared cosine of the principal angles, in [0, 1].
        chance: Its mean for random subspaces of the same dimensions.
        chance_high: What random subspaces exceed in 5 % of draws; 1 where they always overlap in full.
    """

    share: float
    chance: float
    chance_high: float


def principal_angles(first: ArrayLike, second: ArrayLike) -> Floats:
    """Principal angles of the spans of two sets of rows, float64[min(k, l)] in [0, π/2], ascending.

    Args:
        first: float[k, d], rows that need not be orthonormal; dependent ones count once.
        second: float[l, d].

    Raises:
        UserError: Rows of different length, all 0, or not finite.
    """
    one, two = finite_matrix("the first subspace", first), finite_matrix("the second subspace", second)
    if one.shape[1] != two.shape[1]:
        raise UserError(
            f"the subspaces lie in {one.shape[1]} and {two.shape[1]} dimensions; give directions of the same features"
        )
    if not (one.any() and two.any()):
        raise UserError("a subspace has no direction but 0; give the reads of a layer that was initialised")
    return np.asarray(subspace_angles(one.T, two.T)[::-1])


def overlap(first: ArrayLike, second: ArrayLike, *, seed: int, num_draws: int = 200) -> Overlap:
    """How far two read subspaces overlap, and how far random ones of these dimensions do.

    Args:
        first: float[k, d].
        second: float[l, d].
        seed: Of the random subspaces.
        num_draws: Of them.

    Raises:
        UserError: As `principal_angles`.
    """
    share = float((np.cos(principal_angles(first, second)) ** 2).mean())
    dims = [int(np.linalg.matrix_rank(np.asarray(rows, dtype=np.float64))) for rows in (first, second)]
    width = np.asarray(first).shape[1]
    rng, small, large = np.random.default_rng(seed), min(dims), max(dims)
    # One of two random subspaces may be held fixed: the first coordinates.
    draws = [_orthonormal(rng.normal(size=(width, small)))[:large] for _ in range(num_draws)]
    shares = [float((one**2).sum() / small) for one in draws]
    return Overlap(share, large / width, float(np.quantile(shares, 0.95)))


def part_overlaps(reads: Sequence[Floats], *, seed: int) -> tuple[Floats, Overlap]:
    """Overlaps of the read subspaces of parts.

    Args:
        reads: K arrays float64[k, d], such as `singular_directions(part).top(k).read`.
        seed: Of the random subspaces.

    Returns:
        float64[K, K], 1 on the diagonal; and the mean over pairs of different parts, with the mean chance.

    Raises:
        UserError: Fewer than two parts, or as `principal_angles`.
    """
    if len(reads) < 2:
        raise UserError(f"{len(reads)} part(s) have no overlap with others; give the reads of at least two")
    matrix, found = np.eye(len(reads)), []
    for i, j in combinations(range(len(reads)), 2):
        found.append(overlap(reads[i], reads[j], seed=seed))
        matrix[i, j] = matrix[j, i] = found[-1].share
    return matrix, Overlap(
        *(float(np.mean([getattr(one, name) for one in found])) for name in ("share", "chance", "chance_high"))
    )


def overlap_with_span(monolith: ArrayLike, reads: Sequence[Floats], *, seed: int) -> Overlap:
    """How much of a monolith's read subspace [k, d] lies in the span of all parts' reads, K arrays [l, d].

    The chance is the dimension of that span over d. Where the parts span all features it is 1, and the comparison says
    nothing: take fewer directions of each.
    """
    return overlap(monolith, np.concatenate(list(reads)), seed=seed)


def function_overlap(first: ArrayLike, second: ArrayLike) -> float:
    """The overlap of what two networks read, as functions on the same states: squared canonical correlations.

    Args:
        first: float[n, k], activities of the directions of one network on n states.
        second: float[n, l], of the other one on the same states in the same order.

    Returns:
        Mean squared cosine of the angles between the spans of the centred columns, in [0, 1]. Its null is the overlap
        of the untrained twins: random features of the same states are not independent.

    Raises:
        UserError: Different numbers of states, fewer than four for each of the k + l functions, or no variation.
    """
    one, two = finite_matrix("the first activity", first), finite_matrix("the second activity", second)
    needed = 4 * (one.shape[1] + two.shape[1])
    if len(one) != len(two) or len(one) < needed:
        raise UserError(
            f"there are {len(one)} and {len(two)} states for {one.shape[1]} and {two.shape[1]} functions; give the "
            f"same states to both, at least {needed}"
        )
    return float((np.cos(principal_angles((one - one.mean(axis=0)).T, (two - two.mean(axis=0)).T)) ** 2).mean())


def _orthonormal(columns: Floats) -> Floats:
    return np.linalg.qr(columns)[0]
