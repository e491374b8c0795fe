"""Refuses inputs from which a probe's number would mean nothing.

Shapes: n rows, d features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.arrays import refuse_not_finite
from envs.errors import UserError


@dataclass(frozen=True)
class ProbeInput:
    """Inputs of a probe after the checks.

    Attributes:
        features: float64[n, d], finite, no constant column.
        labels: int64[n], classes renumbered 0..K-1 in ascending order of the given labels.
        groups: int64[n], renumbered 0..G-1.
        num_classes: K.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    num_classes: int


def checked_probe_input(features: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, num_folds: int) -> ProbeInput:
    """Checks shapes, values, classes and groups, and renumbers labels and groups from 0.

    Raises:
        UserError: Says what is wrong, the value seen and the cure.
    """
    h = np.asarray(features, dtype=np.float64)
    z, g = np.asarray(labels), np.asarray(groups)
    check_shapes(h, labels=z, groups=g)
    refuse_not_finite("features", h)
    _refuse_constant(h)
    classes, label = np.unique(z, return_inverse=True)
    names, group = np.unique(g, return_inverse=True)
    if len(classes) < 2:
        raise UserError(f"the labels hold one class only ({classes[0]}); a probe needs at least two, so collect others")
    if not 2 <= num_folds <= len(names):
        raise UserError(
            f"{num_folds} folds over {len(names)} groups: folds must be at least 2 and at most the number of groups; "
            "collect more episodes or ask for fewer folds"
        )
    for k, name in enumerate(classes):
        found = len(np.unique(group[label == k]))
        if found < num_folds:
            raise UserError(
                f"class {name} occurs in {found} groups, fewer than the {num_folds} folds, so some training or test "
                "part would lack it; collect more episodes or ask for fewer folds"
            )
    return ProbeInput(h, label.astype(np.int64), group.astype(np.int64), len(classes))


def refuse_few_states(num_states: int, num_features: int, *, states_per_dimension: float) -> None:
    """Refuses fewer than `states_per_dimension` * (d + 1) distinct states.

    With n <= d + 1 points in general position an affine readout fits any labels (Cover 1965).

    Raises:
        UserError: Too few states.
    """
    needed = int(np.ceil(states_per_dimension * (num_features + 1)))
    if num_states < needed:
        raise UserError(
            f"{num_states} distinct states for {num_features} features: a linear probe could fit labels by position; "
            f"at least {needed} distinct states are needed, so collect more episodes or probe fewer features"
        )


def drop_constant(features: ArrayLike) -> tuple[NDArray[np.float64], int]:
    """Leaves out columns without variation, such as units that never fire and walls that never move.

    Returns:
        float64[n, d'] and the number of columns left out, which a report must state.
    """
    h = np.asarray(features, dtype=np.float64)
    varies = (h != h[:1]).any(axis=0)
    return h[:, varies], int((~varies).sum())


def check_shapes(features: NDArray[Any], **by_row: NDArray[Any]) -> None:
    """Refuses arrays that do not describe the same n rows: features [n, d], each of the others integers [n].

    Raises:
        UserError: Another shape, or other numbers than integers.
    """
    if features.ndim != 2 or features.size == 0:
        raise UserError(f"features have shape {features.shape}; a probe needs [rows, features], neither of them 0")
    for name, array in by_row.items():
        if array.shape != (len(features),):
            raise UserError(
                f"{name} have shape {array.shape}, but the features have {len(features)} rows; give one integer per row"
            )
        if array.dtype.kind not in "iub":
            raise UserError(f"{name} have dtype {array.dtype}; integers are needed, so number the classes or episodes")


def _refuse_constant(features: NDArray[np.float64]) -> None:
    """Refuses columns that never change."""
    constant = np.flatnonzero((features == features[:1]).all(axis=0))
    if len(constant):
        raise UserError(
            f"{len(constant)} of {features.shape[1]} features are constant (the first is column {constant[0]}); "
            "leave them out with drop_constant and say so"
        )
