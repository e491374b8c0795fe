"""INLP: fit a linear classifier, project its directions out, and again, until it is at chance.

    P_0 = I,   W_i = weights of a classifier of P_{i-1} h,   P_i = I - projection onto span(W_1, ..., W_i)

Nothing is promised before convergence: after k steps a retrained classifier may find the concept elsewhere. Where
features are correlated it takes many more dimensions than the concept needs (mean projection and LEACE take K - 1), so
its trace stands beside them in a figure.

Source: Ravfogel et al. (2020), arXiv 2004.07667. The span is kept as an orthonormal basis, which equals their product
and sum of projections. What is taken away is put at its mean and not at 0, so that V sees no shift.

Shapes: n rows, d features, K classes, k dimensions taken away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

from analysis.instruments.concept_input import require_labels
from analysis.instruments.erasers import AffineEraser, orthonormal_rows
from analysis.instruments.held_out import balanced_accuracy

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InlpTrace:
    """All steps of one run.

    Attributes:
        centre: float64[d], the mean of the rows fitted.
        bases: One orthonormal basis float64[k_i, d] of what step i took away, orthogonal to those before it. The last
            one is empty where the classifier found nothing, which is so once class means are equal in the sample.
        accuracies: Balanced held-out accuracy of the classifier of step i, before its directions are taken away.
    """

    centre: Floats
    bases: tuple[Floats, ...]
    accuracies: tuple[float, ...]

    def eraser(self, num_steps: int) -> AffineEraser:
        """Take away what the first `num_steps` steps found."""
        basis = np.concatenate([np.empty((0, len(self.centre))), *self.bases[:num_steps]])
        return AffineEraser(self.centre, basis, basis)


def inlp(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    held_out: tuple[ArrayLike, ArrayLike],
    num_steps: int,
    tolerance: float = 0.0,
) -> InlpTrace:
    """Runs INLP with logistic regression.

    Args:
        features: [n, d], finite.
        labels: int[n], two classes or more.
        held_out: Features and labels of other rows with the same classes, on which accuracies are taken.
        num_steps: At most so many classifiers.
        tolerance: Stop after a classifier whose held-out balanced accuracy is at most chance + this; a negative one
            goes on below chance, until a classifier finds nothing or all steps are done.

    Raises:
        UserError: As `require_labels`.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    new, new_numbers, _ = require_labels(*held_out)
    centre = rows.mean(axis=0, dtype=np.float64)
    # One factor for all features leaves directions as they are and frees the penalty from the unit of activations.
    size = float(np.sqrt(((rows - centre) ** 2).mean()))
    left, left_new = (rows - centre) / size, (new - centre) / size
    bases: list[Floats] = []
    accuracies: list[float] = []
    for _ in range(min(num_steps, rows.shape[1] // max(1, num_classes - 1))):
        model = LogisticRegression(class_weight="balanced", tol=1e-6, max_iter=1000).fit(left, numbers)
        accuracies.append(balanced_accuracy(new_numbers, np.asarray(model.predict(left_new))))
        found = model.coef_
        for basis in bases:
            found = found - (found @ basis.T) @ basis
        bases.append(orthonormal_rows(found, scale=float(np.abs(model.coef_).max())))
        left, left_new = (part - (part @ bases[-1].T) @ bases[-1] for part in (left, left_new))
        if not len(bases[-1]) or accuracies[-1] <= 1.0 / num_classes + tolerance:
            break
    return InlpTrace(centre, tuple(bases), tuple(accuracies))
