"""Refuses value tables, and weights of their rows, from which a number would mean nothing.

Shapes: M situations, C contexts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError

Floats = NDArray[np.float64]


def checked_table(table: Floats, weights: Floats | None) -> Floats:
    """Checks a table [M, C] and the weights of its rows, and returns the weights normalised to sum to 1.

    Raises:
        UserError: A table of another shape, with fewer than two contexts, or with values that are not finite.
    """
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise UserError(
            f"the value table has shape {table.shape}; [situations, contexts] with at least two contexts is needed"
        )
    if not np.isfinite(table).all():
        raise UserError(
            f"the value table holds {int((~np.isfinite(table)).sum())} values that are not finite; a diverged network "
            "has no context effect to measure"
        )
    return checked_weights(weights, len(table), of="situations")


def checked_weights(weights: Floats | None, number: int, *, of: str) -> Floats:
    """Weights normalised to sum to 1, equal ones where left out.

    Raises:
        UserError: Another number of them, a negative one, or none above 0.
    """
    weights = np.ones(number) if weights is None else weights
    if weights.shape != (number,) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise UserError(
            f"weights have shape {weights.shape} and sum {weights.sum()}; each of the {number} {of} needs a finite "
            "weight of at least 0, and not all may be 0"
        )
    return np.asarray(weights / weights.sum())
