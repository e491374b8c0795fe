"""RLACE: the subspace without which a linear classifier does worst, found by descent against ascent. It is slow.

    max over P, min over W, b of the loss of softmax(W (1 - P) h + b),   0 ≤ P ≤ 1, trace P = k

Steps of the classifier and of P alternate on minibatches. P is moved up the gradient and put back into the set by its
eigenvalues; whenever it is judged it is rounded to its k leading eigenvectors, and the projection under which a fresh
classifier does worst on rows apart is kept.

Nothing is promised on finite data, and the answer depends on the seed: run several and report how far they agree. On
data where mean projection does the same, it takes a thousand times as long.

Source: Ravfogel et al. (2022), arXiv 2201.12091. Written from the paper; here P is judged on held-out rows.

Shapes: n rows, d features, K classes, k dimensions taken away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from agents.seeding import numpy_generator
from analysis.instruments.concept_input import one_hot, require_labels
from analysis.instruments.erasers import AffineEraser, random_subspace
from analysis.instruments.held_out import balanced_accuracy
from envs.errors import require_integer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RlaceSettings:
    """How long and how fast it descends.

    Attributes:
        num_steps: Alternations; the paper's code takes 75,000.
        evaluate_every: Steps between judgements.
        batch_size: Rows a step.
        rate: Of both gradient steps, on features of unit mean variance.
        tolerance: Stop where a fresh classifier is this near to chance on held-out rows.
    """

    num_steps: int = 8000
    evaluate_every: int = 500
    batch_size: int = 128
    rate: float = 0.05
    tolerance: float = 0.0015


@dataclass(frozen=True, eq=False)
class Rlace:
    """What one run found.

    Attributes:
        eraser: Of rank k, an orthogonal projection.
        accuracy: Balanced accuracy of a fresh classifier on the held-out rows after erasing.
        num_steps: Taken until it stopped.
    """

    eraser: AffineEraser
    accuracy: float
    num_steps: int


def rlace(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    held_out: tuple[ArrayLike, ArrayLike],
    num_dimensions: int,
    seed: int,
    settings: RlaceSettings | None = None,
) -> Rlace:
    """Runs RLACE once.

    Args:
        features: [n, d], finite.
        labels: int[n], two classes or more.
        held_out: Features and labels of other rows with the same classes, on which projections are judged.
        num_dimensions: k in [1, d).
        seed: Of the start and of minibatches.
        settings: `RlaceSettings()` where left out.

    Raises:
        UserError: As `require_labels`; k out of range.
    """
    settings = settings or RlaceSettings()
    rows, numbers, num_classes = require_labels(features, labels)
    new, new_numbers, _ = require_labels(*held_out)
    require_integer("num_dimensions", num_dimensions, low=1, high=rows.shape[1] - 1)
    stream = numpy_generator(seed, "rlace")
    centre = rows.mean(axis=0, dtype=np.float64)
    size = float(np.sqrt(((rows - centre) ** 2).mean()))
    scaled, target = (rows - centre) / size, one_hot(numbers, num_classes)
    start = random_subspace(scaled, num_dimensions, stream=stream).read
    play = _Play(start.T @ start, np.zeros((num_classes, rows.shape[1])), np.zeros(num_classes))
    best: tuple[float, Floats] = (np.inf, start)
    step = 0
    for step in range(1, settings.num_steps + 1):
        batch = stream.integers(len(rows), size=settings.batch_size)
        play = play.step(scaled[batch], target[batch], rate=settings.rate, num_dimensions=num_dimensions)
        if step % settings.evaluate_every == 0 or step == settings.num_steps:
            basis = np.linalg.eigh(play.projection)[1][:, -num_dimensions:].T
            accuracy = _fresh_accuracy(scaled, numbers, (new - centre) / size, new_numbers=new_numbers, basis=basis)
            if abs(accuracy - 1.0 / num_classes) < abs(best[0] - 1.0 / num_classes):
                best = accuracy, basis
            if abs(accuracy - 1.0 / num_classes) < settings.tolerance:
                break
    return Rlace(AffineEraser(centre, best[1], best[1]), best[0], step)


@dataclass(frozen=True, eq=False)
class _Play:
    """Where both players stand: P [d, d], W [K, d] and b [K]."""

    projection: Floats
    weights: Floats
    bias: Floats

    def step(self, rows: Floats, target: Floats, *, rate: float, num_dimensions: int) -> _Play:
        """The classifier goes down its gradient; then P goes up its own, and back into its set."""
        seen = rows - rows @ self.projection
        error = (softmax(seen @ self.weights.T + self.bias, axis=1) - target) / len(rows)
        weights = self.weights - rate * (error.T @ seen + 1e-4 * self.weights)
        bias = self.bias - rate * error.sum(axis=0)
        error = (softmax(seen @ weights.T + bias, axis=1) - target) / len(rows)
        # The loss depends on P through -W P h alone.
        slope = -(weights.T @ error.T) @ rows
        projection = onto_fantope(self.projection + rate * (slope + slope.T) / 2.0, num_dimensions)
        return _Play(projection, weights, bias)


def onto_fantope(matrix: Floats, num_dimensions: int) -> Floats:
    """The symmetric matrix nearest to a symmetric one with eigenvalues in [0, 1] that add up to `num_dimensions`.

    Its eigenvalues are those given, moved by one number and clipped; the number is found by bisection.
    """
    values, vectors = np.linalg.eigh(matrix)
    low, high = values.min() - 1.0, values.max()
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if np.clip(values - middle, 0.0, 1.0).sum() > num_dimensions else (low, middle)
    return np.asarray((vectors * np.clip(values - (low + high) / 2.0, 0.0, 1.0)) @ vectors.T)


def _fresh_accuracy(rows: Floats, labels: Ints, new: Floats, *, new_numbers: Ints, basis: Floats) -> float:
    """Balanced accuracy on other rows of a classifier fitted where the basis is taken away."""
    model = LogisticRegression(class_weight="balanced", max_iter=300).fit(rows - (rows @ basis.T) @ basis, labels)
    return balanced_accuracy(new_numbers, np.asarray(model.predict(new - (new @ basis.T) @ basis)))
