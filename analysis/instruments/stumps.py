"""Boosted stumps: a sum of thresholds on single features, whatever the size of what lies beyond them.

    score(h) = prior + Σ_i (left_i where h_{feature_i} ≤ threshold_i, else right_i),   p(z | h) = softmax(score)

Each stump is fitted to the gradient of the log-likelihood, over all features and 15 thresholds at quantiles of each.
(scikit-learn's HistGradientBoostingClassifier with trees of depth one takes 15 times as long: it fits a tree for each
class, and there are many more features than a stump needs.)

Shapes: n rows, d features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from analysis.instruments.concept_input import one_hot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTILES = np.arange(1, 16) / 16


@dataclass(frozen=True, eq=False)
class Stumps:
    """A fitted sum of S stumps.

    Attributes:
        features: int64[S].
        thresholds: float64[S].
        left: float64[S, K], added where the feature is at most its threshold.
        right: float64[S, K], added elsewhere.
    """

    features: Ints
    thresholds: Floats
    left: Floats
    right: Floats

    def predict(self, rows: Floats) -> Ints:
        """Return classes int64[n] of rows [n, d]."""
        above = rows[:, self.features] > self.thresholds
        return np.asarray((above @ (self.right - self.left) + self.left.sum(axis=0)).argmax(axis=1))


def fit_stumps(features: Floats, labels: Ints, *, num_stumps: int = 30, rate: float = 2.0) -> Stumps:
    """Fits stumps, every class weighing the same.

    Args:
        features: float64[n, d].
        labels: int64[n], classes 0..K-1.
        num_stumps: S.
        rate: Of the gradient step, in scores per unit of mean residual.
    """
    num_classes = int(labels.max()) + 1
    thresholds = np.quantile(features, QUANTILES, axis=0)
    above = (features[:, None, :] > thresholds).reshape(len(features), -1).astype(np.float32)
    target = one_hot(labels, num_classes)
    weight = (target / target.sum(axis=0)).sum(axis=1, keepdims=True) / num_classes
    mass = np.clip((weight[:, 0].astype(np.float32) @ above).astype(np.float64), 1e-9, 1.0 - 1e-9)[:, None]
    scores = np.zeros(target.shape)
    chosen, left, right = np.zeros(num_stumps, np.int64), *np.zeros((2, num_stumps, num_classes))
    for index in range(num_stumps):
        residual = weight * (target - softmax(scores, axis=1))
        total = residual.sum(axis=0)
        beyond = (above.T @ residual.astype(np.float32)).astype(np.float64)
        gain = (beyond**2 / mass + (total - beyond) ** 2 / (1.0 - mass)).sum(axis=1)
        best = int(gain.argmax())
        chosen[index] = best
        right[index] = rate * beyond[best] / mass[best]
        left[index] = rate * (total - beyond[best]) / (1.0 - mass[best])
        scores += np.where(above[:, best, None] > 0.0, right[index], left[index])
    return Stumps(chosen % features.shape[1], thresholds.ravel()[chosen], left, right)
