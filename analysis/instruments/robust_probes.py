"""Probes of a concept on fresh rows: linear, robust (clip, stump, ramp loss) and MLP.

Equal class means keep linear probes with a convex loss at chance and say nothing of accuracy: outliers can balance two
means that a threshold tells apart. Each robust probe bounds what an outlier counts for, in its own way:

    clip    logistic regression on clip(standardised h, -2, 2)
    stump   a boosted sum of thresholds on single features
    ramp    a linear readout under the loss 1 - p(z | h), which is at most 1 for any row

`linear` is logistic regression, and `mlp` a small network, which reads what no linear map of h shows.

Shapes: n rows, d features, K classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from analysis.instruments.concept_input import one_hot, require_labels
from analysis.instruments.held_out import balanced_accuracy
from analysis.instruments.stumps import fit_stumps
from envs.errors import UserError, require_choice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Predict = Callable[[Floats], Ints]

CLIP_AT = 2.0
"""In units of the middle half's spread, which outliers do not widen."""


@dataclass(frozen=True, eq=False)
class Scale:
    """Standardises by median and middle half; see `scale_of`."""

    centre: Floats
    spread: Floats

    def __call__(self, features: Floats) -> Floats:
        """Return (h - centre) / spread, float64[n, d]."""
        return np.asarray((features - self.centre) / self.spread)


def scale_of(features: Floats) -> Scale:
    """Median and interquartile range / 1.349 by column, which is the standard deviation of a normal.

    A column whose middle half is one number, such as a unit that seldom fires, is scaled by its standard deviation, and
    a constant column by 1.
    """
    low, middle, high = np.quantile(features, [0.25, 0.5, 0.75], axis=0)
    spread, deviation = (high - low) / 1.349, features.std(axis=0)
    # Rounding, as erasing leaves it of a unit that it takes away, must not be blown up to a feature.
    rounding = 1e-9 * max(float(deviation.max()), np.finfo(np.float64).tiny)
    spread = np.where(spread > rounding, spread, deviation)
    return Scale(middle, np.where(spread > rounding, spread, 1.0))


def fit_linear(features: Floats, labels: Ints, *, seed: int) -> Predict:
    """Class-balanced logistic regression on features standardised by mean and standard deviation."""
    scale = _standard_scale(features)
    model = _logistic().fit(scale(features), labels)
    return lambda rows: np.asarray(model.predict(scale(rows)))


def fit_clip(features: Floats, labels: Ints, *, seed: int) -> Predict:
    """The same on features clipped to two spreads of the middle half about the median."""
    scale = scale_of(features)
    model = _logistic().fit(np.clip(scale(features), -CLIP_AT, CLIP_AT), labels)
    return lambda rows: np.asarray(model.predict(np.clip(scale(rows), -CLIP_AT, CLIP_AT)))


def fit_stump(features: Floats, labels: Ints, *, seed: int) -> Predict:
    """Thirty boosted stumps, see `analysis.instruments.stumps`."""
    return fit_stumps(features, labels).predict


def fit_ramp(features: Floats, labels: Ints, *, seed: int) -> Predict:
    """A linear readout with the smallest mean over classes of 1 - p(z | h), p = softmax(W h + b).

    For two classes this is the sigmoid loss, a smooth ramp. It is not convex, and where class means are equal W = 0 is
    a stationary point, so the search starts at what the clipped probe found.
    """
    scale = scale_of(features)
    rows = np.column_stack([scale(features), np.ones(len(features))])
    clipped = np.column_stack([np.clip(rows[:, :-1], -CLIP_AT, CLIP_AT), np.ones(len(features))])
    start = _logistic().fit(clipped[:, :-1], labels)
    num_classes = int(labels.max()) + 1
    weights = np.column_stack([start.coef_, start.intercept_])
    weights = np.concatenate([-weights / 2, weights / 2]) if num_classes == 2 else weights
    indicators = one_hot(labels, num_classes)
    share = indicators / indicators.sum(axis=0) / num_classes

    def loss(flat: Floats) -> tuple[float, Floats]:
        w = flat.reshape(num_classes, -1)
        probability = softmax(rows @ w.T, axis=1)
        right = (probability * share).sum(axis=1, keepdims=True)
        slope = probability * (right - share)
        return float(1.0 - right.sum() + 1e-4 * (w**2).sum()), (slope.T @ rows + 2e-4 * w).ravel()

    found = minimize(loss, weights.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 50})
    best = found.x.reshape(num_classes, -1)
    return lambda new: np.asarray((scale(new) @ best[:, :-1].T + best[:, -1]).argmax(axis=1))


def fit_mlp(features: Floats, labels: Ints, *, seed: int) -> Predict:
    """One hidden layer of 32 rectified units, trained by Adam for 30 epochs on equally many rows of each class."""
    scale = scale_of(features)
    model = MLPClassifier((32,), max_iter=30, learning_rate_init=0.01, n_iter_no_change=30, random_state=seed % 2**32)
    counts = np.bincount(labels)
    balanced = np.concatenate([np.resize(np.flatnonzero(labels == k), counts.max()) for k in range(len(counts))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 30 epochs are the probe's definition, not a failure.
        model.fit(np.clip(scale(features), -10.0, 10.0)[balanced], labels[balanced])
    return lambda rows: np.asarray(model.predict(np.clip(scale(rows), -10.0, 10.0)))


PROBES: Mapping[str, Callable[..., Predict]] = MappingProxyType(
    {"linear": fit_linear, "clip": fit_clip, "stump": fit_stump, "ramp": fit_ramp, "mlp": fit_mlp}
)
"""By name, in the order of reports."""


def probe_accuracies(
    train: tuple[ArrayLike, ArrayLike],
    test: tuple[ArrayLike, ArrayLike],
    *,
    seed: int,
    probes: Sequence[str] = tuple(PROBES),
) -> Mapping[str, float]:
    """Balanced accuracy in [0, 1] of probes on rows that they were not fitted on; chance is 1 / K.

    Args:
        train: Features [n, d] and labels int[n].
        test: Features and labels of other rows, with the same classes.
        seed: Of the stump's and the MLP's randomness.
        probes: Names out of `PROBES`.

    Raises:
        UserError: As `require_labels`; an unknown probe; other classes or features in the test than in the training
            rows.
    """
    for name in probes:
        require_choice("a probe", name, choices=tuple(PROBES))
    (rows, labels), (new, new_labels) = _alike(train, test)
    fitted = {name: PROBES[name](rows, labels, seed=seed) for name in probes}
    return {name: balanced_accuracy(new_labels, predict(new)) for name, predict in fitted.items()}


def linear_gain(train: tuple[ArrayLike, ArrayLike], test: tuple[ArrayLike, ArrayLike]) -> float:
    """What LEACE promises to be nothing: how much of the constant's log loss a linear readout saves on fresh rows.

    gain = 1 - loss / ln K, each class weighing the same, loss the mean of -ln p(z | h) of logistic regression; the
    largest over penalties C = 1, .01 and .0001, chosen on the test rows and so in favour of reading.

    Where it is 0, accuracy may still be far above chance: a readout that is right on most rows and very wrong on a few
    saves nothing.

    Args:
        train: Features [n, d] and labels int[n].
        test: Features and labels of other rows, with the same classes.

    Returns:
        At most 1; 0 or less where no linear readout beats the constant.
    """
    (rows, labels), (new, new_labels) = _alike(train, test)
    scale = _standard_scale(rows)
    weight = 1.0 / np.bincount(new_labels)[new_labels] / len(np.unique(new_labels))
    losses = []
    for penalty in (1.0, 1e-2, 1e-4):
        model = _logistic(penalty).fit(scale(rows), labels)
        chosen = model.predict_proba(scale(new))[np.arange(len(new)), new_labels]
        losses.append(float(-(weight * np.log(np.maximum(chosen, 1e-12))).sum()))
    return 1.0 - min(losses) / float(np.log(len(np.unique(new_labels))))


def best_threshold_accuracy(values: ArrayLike, labels: ArrayLike) -> float:
    """Largest balanced accuracy on these very rows of a threshold on one number, in [0.5, 1]; two classes.

    Args:
        values: float[n], such as the part of h along an axis.
        labels: int[n].
    """
    rows, numbers, num_classes = require_labels(np.asarray(values, dtype=np.float64)[:, None], labels)
    if num_classes != 2:
        raise UserError(f"a threshold tells 2 classes apart, but the labels hold {num_classes}; compare two of them")
    order = np.argsort(rows[:, 0], kind="stable")
    share = np.where(numbers == 1, 1.0, -1.0) / np.bincount(numbers)[numbers]
    below = np.cumsum(share[order])
    ends = np.append(np.diff(rows[order, 0]) > 0.0, True)
    return float(0.5 + 0.5 * np.abs(below[ends]).max())


def _alike(
    train: tuple[ArrayLike, ArrayLike], test: tuple[ArrayLike, ArrayLike]
) -> tuple[tuple[Floats, Ints], tuple[Floats, Ints]]:
    """Both parts in float64 with labels from 0, and without what is rounding."""
    rows, labels, _ = require_labels(*train)
    new, new_labels, _ = require_labels(*test)
    if new.shape[1] != rows.shape[1] or not np.array_equal(np.unique(train[1]), np.unique(test[1])):
        raise UserError(
            f"test rows have {new.shape[1]} features and classes {np.unique(test[1]).tolist()}, training rows "
            f"{rows.shape[1]} and {np.unique(train[1]).tolist()}; give rows of the same site and classes"
        )
    # Erasing leaves rounding where it takes a feature away, and what rounding depends on is the concept.
    grain = 1e-9 * max(float(rows.std(axis=0, dtype=np.float64).max()), np.finfo(np.float64).tiny)
    seen, judged = (np.rint(part.astype(np.float64) / grain) * grain for part in (rows, new))
    return (seen, labels), (judged, new_labels)


def _standard_scale(features: Floats) -> Scale:
    """Mean and standard deviation by column; 1 for a column that varies by rounding alone."""
    deviation = features.std(axis=0)
    rounding = 1e-9 * max(float(deviation.max()), np.finfo(np.float64).tiny)
    return Scale(features.mean(axis=0), np.where(deviation > rounding, deviation, 1.0))


def _logistic(penalty: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=penalty, class_weight="balanced", tol=1e-3, max_iter=200)
