"""Refuses arrays from which an instrument's number would mean nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.errors import UserError


def finite_matrix(name: str, value: ArrayLike, *, min_rows: int = 1) -> NDArray[np.float64]:
    """The value as float64[n, d] with n ≥ `min_rows` and d ≥ 1.

    Raises:
        UserError: Another number of axes, too few rows, no column, or a number that is not finite.
    """
    matrix = np.asarray(value, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < min_rows or matrix.shape[1] < 1:
        raise UserError(
            f"{name} has shape {matrix.shape}; it must be [rows, columns] with at least {min_rows} row(s) and 1 column"
        )
    refuse_not_finite(name, matrix)
    return matrix


def refuse_not_finite(name: str, matrix: NDArray[Any]) -> None:
    """Refuses NaN and infinities in [n, d].

    Raises:
        UserError: Names the first of them.
    """
    if np.isfinite(matrix.sum()):  # A sum carries any NaN or infinity, at a fifth of the cost of looking at each.
        return
    broken = np.argwhere(~np.isfinite(matrix))
    if len(broken):
        row, column = broken[0]
        raise UserError(
            f"there are {len(broken)} values that are not finite in {name}, the first {matrix[row, column]} in row "
            f"{row}, column {column}; find out where the network or the env produced it"
        )
