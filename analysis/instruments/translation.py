"""Translating classes onto each other, by their means or by their medians. Rows need their labels to be erased.

    h -> h - centre_z + Σ_z p_z centre_z,    p_z the share of class z

Equal means. On the rows fitted no linear predictor beats the best constant under a convex loss, and the same holds the
other way round (Belrose et al. 2023, arXiv 2306.03819). Accuracy is no convex loss: equal means bound it nowhere.

Equal medians. On one readout with equal medians any threshold between two classes has balanced accuracy at most .75,
since half of each class lies on either side. Along several directions this holds for each of them and not for their
sums: all rows of a class but one can lie on one side of the medians of two features, and all beside those of three.
Nor has the geometric median any bound in two dimensions or more. The point of greatest depth has one, .985 for
d = 32, at a cost of n^(d - 1). `halfspace_depth` says what holds for the rows at hand, along few directions.

Shapes: n rows, d features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.concept_input import class_means, one_hot, require_labels
from analysis.instruments.erasers import orthonormal_rows
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Translation:
    """Adds one vector to all rows of a class.

    Attributes:
        classes: int64[K], ascending.
        shifts: float64[K, d].
    """

    classes: Ints
    shifts: Floats

    @property
    def num_dimensions(self) -> int:
        """Dimensions of the span of the shifts, at most K - 1 for common centres; none of them is taken away."""
        return len(orthonormal_rows(self.shifts))

    @property
    def needs_labels(self) -> bool:
        """Always: a row of unknown class cannot be translated, so this is no edit of a running network."""
        return True

    def __call__(self, features: NDArray[np.floating], labels: Ints) -> Floats:
        """Return translated rows.

        Raises:
            UserError: A class that was not fitted.
        """
        unknown = np.setdiff1d(labels, self.classes)
        if len(unknown):
            raise UserError(f"class {unknown[0]} was not there in the fit, which had {self.classes.tolist()}; fit anew")
        return np.asarray(features, dtype=np.float64) + self.shifts[np.searchsorted(self.classes, labels)]


def equal_means(features: ArrayLike, labels: ArrayLike) -> Translation:
    """Translates every class to the overall mean.

    Args:
        features: [n, d], finite.
        labels: int[n], two classes or more.

    Raises:
        UserError: As `require_labels`.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    return _to_common(labels, class_means(rows, one_hot(numbers, num_classes)), numbers)


def equal_medians(features: ArrayLike, labels: ArrayLike, directions: ArrayLike | None = None) -> Translation:
    """Translates classes to a common median along each of some directions.

    Args:
        features: [n, d], finite.
        labels: int[n], two classes or more.
        directions: [m, d], made orthonormal; each single feature where left out.

    Raises:
        UserError: As `require_labels`.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    basis = np.eye(rows.shape[1]) if directions is None else orthonormal_rows(directions)
    along = rows @ basis.T
    medians = np.stack([np.median(along[numbers == k], axis=0) for k in range(num_classes)])
    return _to_common(labels, medians @ basis, numbers)


def equal_geometric_medians(features: ArrayLike, labels: ArrayLike) -> Translation:
    """Translates classes to a common geometric median, the point of least mean distance; it bounds no accuracy.

    Args:
        features: [n, d], finite.
        labels: int[n], two classes or more.

    Raises:
        UserError: As `require_labels`.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    medians = np.stack([geometric_median(rows[numbers == k]) for k in range(num_classes)])
    return _to_common(labels, medians, numbers)


def geometric_median(points: NDArray[np.floating], *, tolerance: float = 1e-7, max_steps: int = 200) -> Floats:
    """argmin_m Σ |x_i - m|, by Weiszfeld's steps as Vardi and Zhang (2000) mend them where m meets a point.

    Args:
        points: [n, d].
        tolerance: Stop when a step is shorter than this share of the root mean square distance.
        max_steps: Stop after these.

    Returns:
        float64[d].
    """
    rows = np.asarray(points, dtype=np.float64)
    median = rows.mean(axis=0)
    size = float(np.sqrt(((rows - median) ** 2).sum(axis=1).mean()))
    for _ in range(max_steps):
        distance = np.sqrt(((rows - median) ** 2).sum(axis=1))
        away = distance > 1e-12 * size
        if not away.any():
            break
        pull = (away / np.where(away, distance, 1.0))[:, None]
        step = (pull * (rows - median)).sum(axis=0) / pull.sum()
        # Points that lie at the median hold it back by their number.
        force = float(np.sqrt(((pull * (rows - median)).sum(axis=0) ** 2).sum()))
        step *= max(0.0, 1.0 - (~away).sum() / force) if force > 0.0 else 0.0
        median = median + step
        if float(np.sqrt((step**2).sum())) <= tolerance * size:
            break
    return np.asarray(median)


def _to_common(labels: ArrayLike, centres: Floats, numbers: Ints) -> Translation:
    """Shifts centres [K, d] to their mean, weighted by how frequent the classes are."""
    common = (np.bincount(numbers) / len(numbers)) @ centres
    return Translation(np.unique(labels).astype(np.int64), common - centres)
