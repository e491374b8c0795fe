"""T8c, calibration: is the reflective head of T8a as sure of the network's choices as it is right?

Shapes: N states, A actions, B bins.

The head from V's own layer to its own choices (`privileged_access`) says P(a | s) in a context that it was not fitted
on. With conf = max_a P, right = [argmax_a P is the choice], and 10 bins b of conf of equal width on [0, 1],
    error = sum_b (n_b / N) * |mean conf in b - mean right in b|,   overconfidence = mean conf - mean right.
Source: Guo et al. (2017), arXiv 1706.04599, equation 3 (expected calibration error).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T8c",
    question="In a new context, is a head on V's own hidden layer as sure of V's choices as it is right?",
    world="ValueLab/MultiNeed-v0, ValueLab/DiamondGhost-v0",
    actor="V1",
    metric="expected calibration error of the head of T8a in held-out contexts, 0 (calibrated) to 1",
    margin=0.1,
    family="exploratory",
    positive="planted agent CHANGED: in each context the layer is mixed anew, so that the head is sure and wrong",
    null="planted agent STEADY: choices drawn from the softmax of a layer that is the same in all contexts",
    rule="estimate with a 95 % interval over seeds; read only if CHANGED - STEADY has a lower 90 % bound above the "
    "margin and the 90 % interval of STEADY lies inside it",
    does_not_show="that V itself is uncertain where the head is: V's choices are deterministic. The error hangs on the "
    "head's penalty as well as on what the layer hides, so arms are compared with each other, not with 0",
)
NUM_BINS = 10


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How sure and how right a head is.

    Attributes:
        error: Expected calibration error, 0..1.
        overconfidence: Mean confidence minus accuracy, -1..1; its size is at most the error.
        confidence: Mean probability of the action that the head names.
        accuracy: Share of states at which it is the choice.
    """

    error: float
    overconfidence: float
    confidence: float
    accuracy: float


def calibration(log_probs: Floats, choices: Ints) -> Calibration:
    """Score the log probabilities float[N, A] of a head against choices int[N]; N at least 1."""
    confidence = np.exp(log_probs.max(axis=1))
    right = log_probs.argmax(axis=1) == choices
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    gap = np.bincount(bins, weights=confidence - right, minlength=NUM_BINS)
    return Calibration(
        error=float(np.abs(gap).sum() / len(choices)),
        overconfidence=float(gap.sum() / len(choices)),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
    )
