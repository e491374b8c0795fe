"""Rows of one site, split by whole episodes: what erasers are fitted on, and the fresh rows on which they are judged.

Shapes: n rows, d features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.seeding import numpy_generator
from analysis.instruments.concept_input import require_labels, require_more_rows
from analysis.instruments.held_out import group_folds
from analysis.instruments.probe_input import check_shapes
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Activations:
    """Rows of one site with their concept.

    Attributes:
        features: [n, d], finite.
        labels: int64[n], 0..K-1.
        contexts: int64[n], within which orders of V are compared; the labels where the context is the concept.
        fit: int64, the rows that erasers are fitted on; no episode is in two parts.
        train: int64, the rows that probes are fitted on.
        test: int64, the rows on which everything is judged.
        num_fit_groups: Groups among the rows to fit: what is independent there.
    """

    features: NDArray[np.floating]
    labels: Ints
    contexts: Ints
    fit: Ints
    train: Ints
    test: Ints
    num_fit_groups: int

    def part(self, rows: Ints) -> tuple[Floats, Ints]:
        """Features and labels of some rows."""
        return self.features[rows].astype(np.float64), self.labels[rows]

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.labels.max()) + 1


def split_activations(
    features: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, contexts: ArrayLike | None = None, seed: int
) -> Activations:
    """Splits rows by whole groups: half to fit, a quarter to train probes, a quarter to judge.

    Args:
        features: [n, d], finite.
        labels: int[n], two classes or more, each in at least four groups.
        groups: int[n], episodes, or levels for a stronger claim.
        contexts: int[n]; the labels where left out.
        seed: Deals groups to parts.

    Raises:
        UserError: As `require_labels`; a class that some part lacks; no more rows to fit than features.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    group, context = np.asarray(groups), numbers if contexts is None else np.asarray(contexts)
    check_shapes(rows, groups=group, contexts=context)
    for k in range(num_classes):
        if (found := len(np.unique(group[numbers == k]))) < 4:
            raise UserError(
                f"class {np.unique(labels)[k]} occurs in {found} groups, but each of 4 parts must hold it; collect "
                "more episodes"
            )
    folds = group_folds(numbers, group, num_folds=4, stream=numpy_generator(seed, "erasure", "split"))
    parts = [np.flatnonzero(folds <= 1), np.flatnonzero(folds == 2), np.flatnonzero(folds == 3)]
    if any(len(np.unique(numbers[part])) < num_classes for part in parts):
        raise UserError("all episodes with some class fell into one part; collect more of them")
    varying = int((rows != rows[:1]).any(axis=0).sum())
    why = f"half of {len(rows)} are there to fit {varying} features"
    require_more_rows(len(parts[0]), varying + num_classes + 1, why=why)
    fit, train, test = parts
    return Activations(rows, numbers, context.astype(np.int64), fit, train, test, len(np.unique(group[fit])))
