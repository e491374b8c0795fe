"""Activations with a concept's labels: what is refused, and the moments of classes.

Shapes: n rows, d features, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.arrays import refuse_not_finite
from analysis.instruments.probe_input import check_shapes
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def require_finite(features: ArrayLike) -> NDArray[np.floating]:
    """Features [n, d] as floating point numbers, float32 left as it is.

    Raises:
        UserError: Another shape, or numbers that are not finite.
    """
    rows = np.asarray(features)
    rows = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)
    check_shapes(rows)
    refuse_not_finite("features", rows)
    return rows


def require_labels(features: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.floating], Ints, int]:
    """Features, labels renumbered 0..K-1 and K.

    Constant columns are allowed, as units that never fire stand in every network and erasing leaves them alone.

    Raises:
        UserError: Wrong shapes; numbers that are not finite; one class only; no column that varies.
    """
    rows, given = require_finite(features), np.asarray(labels)
    check_shapes(rows, labels=given)
    classes, numbers = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        raise UserError(f"the labels hold one class only ({classes[0]}); a concept needs at least two to be erased")
    if (rows[0] == rows[-1]).all() and (rows == rows[:1]).all():
        raise UserError(
            f"all {rows.shape[1]} features are constant over {len(rows)} rows, so there is nothing to erase; choose "
            "another site"
        )
    return rows, numbers.astype(np.int64), len(classes)


def require_more_rows(num_rows: int, needed: int, *, why: str) -> None:
    """Refuses fewer than `needed` rows.

    Raises:
        UserError: Too few.
    """
    if num_rows < needed:
        raise UserError(f"{num_rows} rows are too few: {why}, so at least {needed} are needed; collect more episodes")


def one_hot(labels: Ints, num_classes: int) -> Floats:
    """Indicators of classes, float64[n, K]."""
    return np.asarray(labels[:, None] == np.arange(num_classes), dtype=np.float64)


def class_means(features: NDArray[np.floating], indicators: Floats) -> Floats:
    """Mean of each class, float64[K, d]."""
    return np.asarray((indicators.T @ features) / indicators.sum(axis=0)[:, None])
