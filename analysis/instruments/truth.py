"""Contrast-consistent search: a direction that says the opposite of x⁺ and x⁻, found without labels.

With p± = σ(θ·(x± − mean±) + b), means of each side over the training pairs,

    loss = mean[min(p⁺, p⁻)²] + mean[(p⁺ + p⁻ − 1)²],    score = ½(p⁺ + 1 − p⁻).

The loss is .25 where p is ½ everywhere, 1 where it is 0, 2 where it is 1, and 0 for any p that says the opposite of the
two sides with certainty. What it finds need not be true: every binary feature of the pair's question has loss 0
(Farquhar et al. 2023, arXiv 2312.10029, theorem 1), and the search takes the most prominent one.

The direction has no sign of its own. The published accuracy, max(acc, 1 − acc), reads .59 by chance at 20 pairs; here
the sign is set by the labels of the training pairs and the accuracy is read on others, where chance is ½.

Shapes: n pairs, d features, R starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom

from analysis.instruments.contrast_pairs import ContrastPairs, SideMeans, require_contrast, side_means
from analysis.instruments.held_out import balanced_accuracy
from envs.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CcsSettings:
    """How a direction is searched for: as in the published code.

    Attributes:
        num_starts: R, random starts of which the one of least loss is kept.
        num_epochs: Steps over all pairs at once.
        learning_rate: Of AdamW, per step and coordinate; features should be of order 1 (`fit_ccs`, unit).
        weight_decay: Of AdamW, on θ and b.
    """

    num_starts: int = 10
    num_epochs: int = 1000
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2


@dataclass(frozen=True, eq=False)
class CcsProbe:
    """A direction that was found, with everything that is needed to read other pairs.

    Attributes:
        direction: θ, float64[d].
        bias: b.
        means: Of the training pairs.
        train_loss: Of the start that was kept.
    """

    direction: Floats
    bias: float
    means: SideMeans
    train_loss: float

    def probs(self, pairs: ContrastPairs) -> tuple[Floats, Floats]:
        """p⁺ and p⁻ of pairs, float64[n] each."""
        centred = pairs.centred(self.means)
        return expit(centred.plus @ self.direction + self.bias), expit(centred.minus @ self.direction + self.bias)

    def says_plus(self, pairs: ContrastPairs) -> NDArray[np.bool_]:
        """Whether the score of a pair is above ½, bool[n]."""
        plus, minus = self.probs(pairs)
        return np.asarray(plus > minus)


@dataclass(frozen=True)
class CcsReading:
    """How a probe does on pairs that it was not fitted on.

    Attributes:
        loss: On these pairs.
        accuracy: Balanced over the two labels, the sign set by the training pairs; chance is ½. NaN without labels.
        published_accuracy: max(acc, 1 − acc) on these pairs, as papers report it.
        published_chance: What a coin would reach by that measure.
    """

    loss: float
    accuracy: float
    published_accuracy: float
    published_chance: float


def ccs_loss(plus_probs: Floats, minus_probs: Floats) -> Floats:
    """mean[min(p⁺, p⁻)²] + mean[(p⁺ + p⁻ − 1)²] over the first axis, for float64[n] or float64[n, R]."""
    confidence = np.minimum(plus_probs, minus_probs) ** 2
    consistency = (plus_probs + minus_probs - 1.0) ** 2
    return np.asarray(confidence.mean(axis=0) + consistency.mean(axis=0))


def fit_ccs(
    pairs: ContrastPairs,
    *,
    seed: int,
    settings: CcsSettings | None = None,
    orthogonal_to: Floats | None = None,
    unit: float = 1.0,
) -> CcsProbe:
    """Searches for a direction of least loss.

    Args:
        pairs: For training; their labels are not read.
        seed: Of the starts.
        settings: `CcsSettings()` where left out.
        orthogonal_to: float64[k, d], orthonormal directions that θ must be orthogonal to, k < d.
        unit: What features are divided by during the search, so that a step means the same for all networks.

    Returns:
        The best of the starts.

    Raises:
        UserError: Pairs that are all alike, or no direction left.

    Source: Burns et al. (2023), arXiv 2212.03827. Differences: the test pairs are centred by the training means (theirs
    by their own), and θ is linear throughout (their scripts default to a multilayer probe).

    Cannot show: that the direction stands for truth, or is used. With fewer pairs than features noise has loss 0.
    """
    settings, means = settings or CcsSettings(), side_means(pairs)
    centred = pairs.centred(means)
    require_contrast(centred)
    basis = _complement(orthogonal_to, pairs.plus.shape[1])
    sides = np.stack([centred.plus, centred.minus]) @ basis / unit
    starts, losses = _descend(sides, seed=seed, settings=settings)
    best = int(losses.argmin())
    return CcsProbe(basis @ starts[:-1, best] / unit, float(starts[-1, best]), means, float(losses[best]))


def read_ccs(probe: CcsProbe, train: ContrastPairs, test: ContrastPairs) -> CcsReading:
    """Reads a probe on other pairs.

    Args:
        probe: Fitted on `train`.
        train: Its labels, where there are any, set the sign: one bit.
        test: Other pairs.

    Raises:
        UserError: Labels of one kind only among the test pairs, where there are labels.
    """
    loss = float(ccs_loss(*probe.probs(test)))
    if train.labels is None or test.labels is None:
        return CcsReading(loss, np.nan, np.nan, np.nan)
    flip = signed_accuracy(train, probe.says_plus(train)) < 0.5
    says = probe.says_plus(test)
    agreed = float((says == test.labels).mean())
    return CcsReading(loss, signed_accuracy(test, says ^ flip), max(agreed, 1.0 - agreed), published_chance(len(test)))


def signed_accuracy(pairs: ContrastPairs, says_plus: NDArray[np.bool_]) -> float:
    """Balanced accuracy of answers bool[n] about the labels, chance ½, no sign chosen."""
    if pairs.labels is None or pairs.labels.all() or not pairs.labels.any():
        raise UserError(f"{len(pairs)} pairs hold one label only, so no accuracy can be told from none; add others")
    return balanced_accuracy(pairs.labels.astype(np.int64), says_plus.astype(np.int64))


def published_chance(num_pairs: int) -> float:
    """E max(acc, 1 − acc) of a fair coin on n pairs: .588 for 20, .540 for 100, .518 for 500."""
    hits = np.arange(num_pairs + 1)
    return float(binom.pmf(hits, num_pairs, 0.5) @ np.maximum(hits, num_pairs - hits) / num_pairs)


def _complement(directions: Floats | None, num_features: int) -> Floats:
    """An orthonormal basis [d, d − k] of what is orthogonal to the directions."""
    if directions is None or not len(directions):
        return np.eye(num_features)
    if len(directions) >= num_features:
        raise UserError(f"{len(directions)} directions of {num_features} features leave none to search; ask for fewer")
    return np.asarray(np.linalg.svd(directions, full_matrices=True)[2][len(directions) :].T)


def _descend(sides: Floats, *, seed: int, settings: CcsSettings) -> tuple[Floats, Floats]:
    """Runs AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) from all starts at once.

    Returns:
        θ and b of each start, float64[d + 1, R], and their losses, float64[R].
    """
    num_pairs, width = sides.shape[1:]
    inputs = np.concatenate([sides, np.ones((2, num_pairs, 1))], axis=2).reshape(2 * num_pairs, width + 1)
    bound = width**-0.5
    weights = np.random.default_rng(seed).uniform(-bound, bound, size=(width + 1, settings.num_starts))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, settings.num_epochs + 1):
        slope = _gradient(inputs, weights)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        scaled = first / (1.0 - 0.9**step) / (np.sqrt(second / (1.0 - 0.999**step)) + 1e-8)
        weights = weights * (1.0 - settings.learning_rate * settings.weight_decay) - settings.learning_rate * scaled
    probs = expit(inputs @ weights)
    return weights, ccs_loss(probs[:num_pairs], probs[num_pairs:])


def _gradient(inputs: Floats, weights: Floats) -> Floats:
    """Gradient of the loss of each start by its weights, float64[d + 1, R]; inputs hold all x⁺ and then all x⁻."""
    probs = expit(inputs @ weights)
    plus, minus = np.split(probs, 2)
    confidence = np.concatenate([np.where(plus < minus, plus, 0.0), np.where(plus < minus, 0.0, minus)])
    consistency = np.tile(plus + minus - 1.0, (2, 1))
    return np.asarray(inputs.T @ ((confidence + consistency) * probs * (1.0 - probs)) * (4.0 / len(inputs)))
