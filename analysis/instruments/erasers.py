"""Maps that take a subspace of activations away, and the two that need no fitting but of means.

An affine eraser of rank k is

    r(h) = h - Σ_j write_j · (read_j · (h - centre)),   j = 1..k.

Where read = write is an orthonormal basis this is mean ablation: the part of h in the subspace becomes its mean. LEACE
(`analysis.instruments.leace`) reads and writes along different directions.

Shapes: n rows, d features, K classes, k dimensions taken away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.concept_input import class_means, one_hot, require_finite, require_labels
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Eraser(Protocol):
    """What every erasure is once it is fitted."""

    @property
    def num_dimensions(self) -> int:
        """Rank of what is taken away."""

    @property
    def needs_labels(self) -> bool:
        """Whether rows can be erased only with their labels at hand."""

    def __call__(self, features: Floats, labels: Ints) -> Floats:
        """Return erased copies [n, d] of rows [n, d] with labels int64[n]."""


@dataclass(frozen=True, eq=False)
class AffineEraser:
    """An affine map that takes k dimensions away; it never looks at labels.

    Attributes:
        centre: float64[d], left as it is.
        read: float64[k, d].
        write: float64[k, d].
    """

    centre: Floats
    read: Floats
    write: Floats

    @property
    def num_dimensions(self) -> int:
        """The rank k."""
        return len(self.read)

    @property
    def needs_labels(self) -> bool:
        """Never."""
        return False

    def __call__(self, features: NDArray[np.floating], labels: Ints | None = None) -> Floats:
        """Return erased rows in float64; the labels are not read."""
        rows = np.asarray(features, dtype=np.float64)
        return np.asarray(rows - ((rows - self.centre) @ self.read.T) @ self.write)

    def scaled(self, factor: float) -> AffineEraser:
        """The same with the change of every row multiplied."""
        return replace(self, write=self.write * factor)

    @property
    def matrix(self) -> Floats:
        """P = I - write' read, float64[d, d]: r(h) - centre = P (h - centre)."""
        return np.asarray(np.eye(len(self.centre)) - self.write.T @ self.read)


def orthonormal_rows(directions: ArrayLike, *, scale: float = 0.0) -> Floats:
    """An orthonormal basis [k, d] of the span of directions [m, d], as far as it is more than rounding.

    Args:
        directions: Their lengths matter only in that singular values below 1e-10 of the largest count as 0.
        scale: A length of which 1e-10 is rounding, where the directions are differences of larger numbers.
    """
    rows = np.atleast_2d(np.asarray(directions, dtype=np.float64))
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(basis[sizes > 1e-10 * max(sizes.max(initial=0.0), scale)])


def mean_ablation(features: ArrayLike, directions: ArrayLike) -> AffineEraser:
    """Replaces the part of h along some directions by its mean: h - U'U (h - mean), U an orthonormal basis of them.

    Args:
        features: [n, d], where the mean is taken.
        directions: [m, d], or [d] for one; `numpy.eye(d)` ablates everything.

    Raises:
        UserError: Features that are not finite; directions of another width.
    """
    rows = require_finite(features)
    basis = orthonormal_rows(directions)
    if basis.shape[1] != rows.shape[1]:
        raise UserError(
            f"directions have {basis.shape[1]} entries, but rows have {rows.shape[1]} features; give directions in "
            "the space of the features"
        )
    return AffineEraser(rows.mean(axis=0, dtype=np.float64), basis, basis)


def mean_projection(features: ArrayLike, labels: ArrayLike) -> AffineEraser:
    """Mean ablation along the differences of class means: equal means without labels, by an orthogonal projection.

    For two classes U = (mean_1 - mean_0) / |mean_1 - mean_0|; for K the span of all differences, of rank at most K - 1.

    Guarantees Cov(r(h), z) = 0 on the rows fitted, hence that no linear predictor there beats the best constant under
    a convex loss. Accuracy is not a convex loss: see `analysis.instruments.toy.two_point`.

    Source: Haghighatkhah et al. (2022), arXiv 2212.04273 (MP); its linear guarantee: Belrose et al. (2023).

    Args:
        features: [n, d].
        labels: int[n].

    Raises:
        UserError: As `require_labels`.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    means = class_means(rows, one_hot(numbers, num_classes))
    size = float(np.sqrt((rows**2).sum(axis=1, dtype=np.float64).mean()))
    return mean_ablation(rows, orthonormal_rows(means - means.mean(axis=0), scale=size))


def random_subspace(features: ArrayLike, num_dimensions: int, *, stream: np.random.Generator) -> AffineEraser:
    """Mean ablation of a uniformly random subspace: what erasing k dimensions does whichever they are."""
    rows = require_finite(features)
    drawn = stream.standard_normal((min(num_dimensions, rows.shape[1]), rows.shape[1]))
    return mean_ablation(rows, drawn)


def change_size(before: Floats, after: Floats) -> float:
    """‖Δh‖: the root mean square over rows of the length of the change."""
    return float(np.sqrt(((after - before) ** 2).sum(axis=1).mean()))


def scaled_to(eraser: AffineEraser, features: Floats, *, size: float) -> AffineEraser:
    """The eraser with its change multiplied such that ‖Δh‖ on these rows is `size`."""
    own = change_size(features, eraser(features))
    return eraser.scaled(size / own) if own > 0.0 else eraser


def class_gap(features: ArrayLike, labels: ArrayLike) -> float:
    """Largest distance of two class means along one feature, in standard deviations of the feature, over all features.

    0 on the rows that LEACE or mean projection was fitted on.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    spread = rows.std(axis=0, dtype=np.float64)
    apart = np.ptp(class_means(rows, one_hot(numbers, num_classes)), axis=0)
    varies = spread > 1e-9 * spread.max()
    return float((apart[varies] / spread[varies]).max())
