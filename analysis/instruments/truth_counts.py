"""How many truth-like features there are: counted exactly, in closed form, and by sampling.

Facts as one-hot vectors e_i with negations −e_i: every sign vector s ∈ {±1}^d says s·x = ±1 of each fact and the
opposite of its negation, so there are 2^d truth-like features. Under CCS's own normalisation, which takes the mean off
each side, the two constant ones say nothing any more: 2^d − 2.

Pair differences in general position: a direction labels each difference by its sign, and n differences in R^d have

    C(n, d) = 2 Σ_{k<d} binom(n − 1, k)

labelings (Cover 1965): log2 C(n, d) bits are needed to single one out.

Shapes: n pair differences, d features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from analysis.instruments.arrays import finite_matrix
from analysis.instruments.contrast_pairs import ContrastPairs, side_means
from analysis.instruments.truth_directions import direction_losses
from envs.errors import UserError, require_integer

Floats = NDArray[np.float64]
MOST_EXACT = 16


def cover_count(num_points: int, num_features: int) -> int:
    """C(n, d), exact for any size.

    Raises:
        UserError: A number below 1.
    """
    require_integer("num_points", num_points, low=1, high=10**6)
    require_integer("num_features", num_features, low=1, high=10**6)
    return 2 * sum(math.comb(num_points - 1, k) for k in range(min(num_features, num_points)))


def bits_to_choose(num_points: int, num_features: int) -> float:
    """log2 C(n, d): how many bits single out one truth-like labeling."""
    return math.log2(cover_count(num_points, num_features))


def count_labelings(differences: ArrayLike) -> int:
    """Counts the labelings sign(θ·x_i) that some θ gives with no x_i at 0, in any position.

    Points are added one at a time; each labeling so far is continued by the signs that a linear programme finds a θ
    for. One of the two needs none: the θ already known gives it.

    Args:
        differences: float[n, d], n ≤ 16.

    Returns:
        At most C(n, d), with equality in general position; 0 where some difference is 0.

    Raises:
        UserError: More than 16 points, or values that are not finite.
    """
    points = finite_matrix("differences", differences)
    if len(points) > MOST_EXACT:
        raise UserError(
            f"{len(points)} points have up to 2^{len(points)} labelings; at most {MOST_EXACT} points can be counted "
            "exactly, so take fewer or sample_labelings"
        )
    size = np.linalg.norm(points, axis=1, keepdims=True)
    if (size <= 1e-12 * max(size.max(), 1e-300)).any():
        return 0
    scaled = points / size
    # −θ gives the opposite labeling, so half of them are counted: those with +1 first.
    found = [(np.ones(1), scaled[0])]
    for index in range(1, len(scaled)):
        found = list(_continued(found, scaled[: index + 1]))
    return 2 * len(found)


def sample_labelings(differences: ArrayLike, *, num_directions: int, seed: int) -> int:
    """How many labelings random directions hit: a lower bound, which narrow regions make a loose one.

    Args:
        differences: float[n, d], n ≤ 62.
        num_directions: How many are drawn.
        seed: Of the directions.

    Raises:
        UserError: More than 62 points, or values that are not finite.
    """
    points = finite_matrix("differences", differences)
    if len(points) > 62:
        raise UserError(f"{len(points)} points; labelings are told apart for at most 62, so take fewer")
    rng, place = np.random.default_rng(seed), 2 ** np.arange(len(points), dtype=np.int64)
    seen = np.zeros(0, dtype=np.int64)
    for start in range(0, num_directions, 200_000):
        directions = rng.normal(size=(min(200_000, num_directions - start), points.shape[1]))
        seen = np.union1d(seen, (directions @ points.T > 0.0) @ place)
    return len(seen)


def one_hot_facts(num_features: int) -> ContrastPairs:
    """Facts e_i and their negations −e_i as pairs."""
    facts = np.eye(num_features)
    return ContrastPairs(facts, -facts)


def count_sign_vectors(pairs: ContrastPairs, *, normalise: bool) -> int:
    """How many of the 2^d sign vectors have CCS loss 0 in the limit of great length.

    Args:
        pairs: Of at most 16 features.
        normalise: Whether each side's mean is taken off, as CCS does.

    Raises:
        UserError: More than 16 features.
    """
    width = pairs.plus.shape[1]
    if width > MOST_EXACT:
        raise UserError(f"{width} features have 2^{width} sign vectors; at most {MOST_EXACT} features can be counted")
    signs = 2.0 * ((np.arange(2**width)[:, None] >> np.arange(width)) & 1).astype(np.float64) - 1.0
    centred = pairs.centred(side_means(pairs)) if normalise else pairs
    return int((direction_losses(centred, signs) < 1e-9).sum())


def _continued(found: list[tuple[Floats, Floats]], points: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Labelings of all points, with a θ of each, from those of all but the last point."""
    for labels, theta in found:
        for sign in (1.0, -1.0):
            both = np.append(labels, sign)
            known = theta if sign * (points[-1] @ theta) > 1e-9 else _separator(both[:, None] * points)
            if known is not None:
                yield both, known


def _separator(signed: Floats) -> Floats | None:
    """A θ with θ·x ≥ 1 for all rows, or None where there is none."""
    free = (None, None)
    found = linprog(np.zeros(signed.shape[1]), A_ub=-signed, b_ub=-np.ones(len(signed)), bounds=free, method="highs")
    if not found.success:
        return None
    # At a bounded length, so that a margin of 1e-9 above means the same for each.
    return np.asarray(found.x / np.linalg.norm(found.x))
