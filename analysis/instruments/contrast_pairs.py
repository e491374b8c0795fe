"""Contrast pairs: activations of the same thing said to be so, and said not to be so.

In a language model x⁺ and x⁻ are a statement with "Yes" and with "No". In a gridworld they are one state with a
predicate true and false, or one situation under two contexts (a minimal pair).

Shapes: n pairs, d features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.arrays import finite_matrix
from envs.errors import UserError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ContrastPairs:
    """Pairs in order.

    Attributes:
        plus: float64[n, d], x⁺.
        minus: float64[n, d], x⁻.
        labels: bool[n], whether x⁺ is the true side; None where no label is known. No search reads them.
    """

    plus: Floats
    minus: Floats
    labels: Bools | None = None

    def __len__(self) -> int:
        """Number of pairs n."""
        return len(self.plus)

    @property
    def differences(self) -> Floats:
        """x⁺ − x⁻, float64[n, d]."""
        return self.plus - self.minus

    def __getitem__(self, rows: Any) -> ContrastPairs:
        """The pairs at `rows`, int64[m] or bool[n]."""
        return ContrastPairs(self.plus[rows], self.minus[rows], None if self.labels is None else self.labels[rows])

    def centred(self, means: SideMeans) -> ContrastPairs:
        """The pairs with each side's mean taken off, so that what tells the sides apart as such is gone."""
        return ContrastPairs(self.plus - means.plus, self.minus - means.minus, self.labels)


@dataclass(frozen=True, eq=False)
class SideMeans:
    """The mean of each side, float64[d], of the pairs that something was fitted on."""

    plus: Floats
    minus: Floats


def contrast_pairs(plus: ArrayLike, minus: ArrayLike, labels: ArrayLike | None = None) -> ContrastPairs:
    """Checked pairs.

    Args:
        plus: float[n, d], n ≥ 2.
        minus: float[n, d], in the same order.
        labels: bool[n] or numbers of which positive ones mean true.

    Raises:
        UserError: Sides or labels that do not fit each other; values that are not finite.
    """
    first = finite_matrix("x+", plus, min_rows=2)
    second = finite_matrix("x-", minus, min_rows=2)
    if first.shape != second.shape:
        raise UserError(f"x+ has shape {first.shape} and x- has {second.shape}; give both sides of the same pairs")
    if labels is None:
        return ContrastPairs(first, second)
    truth = np.asarray(labels)
    if truth.shape != (len(first),):
        raise UserError(f"labels have shape {truth.shape} for {len(first)} pairs; give one for each pair, or None")
    return ContrastPairs(first, second, truth > 0)


def side_means(pairs: ContrastPairs) -> SideMeans:
    """Means of both sides over these pairs: of the training pairs, also where others are read with them."""
    return SideMeans(pairs.plus.mean(axis=0), pairs.minus.mean(axis=0))


def feature_size(centred: ContrastPairs) -> float:
    """Root mean square of the features of centred pairs: the unit in which networks of any scale are searched alike."""
    return float(np.sqrt((centred.plus**2 + centred.minus**2).mean() / 2.0))


def require_contrast(centred: ContrastPairs) -> None:
    """Refuses pairs of which nothing is left once each side's mean is taken off.

    Raises:
        UserError: All pairs are alike.
    """
    if max(np.abs(centred.plus).max(), np.abs(centred.minus).max()) <= 1e-12:
        raise UserError(
            f"all {len(centred)} pairs are alike once the mean of each side is taken off, so no direction tells them "
            "apart; give pairs of different states"
        )
