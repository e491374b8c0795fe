"""CrossedHistory: does V carry the history of its rewards into pairings that were never trained?

Shapes: L layouts (object cell and agent cell), K cues and objects.

In training the cue decides which object appears; both objects are worth the same under both cues, so V* has no
cue x object interaction. The test levels show the same layouts under every pairing (minimal pairs). With V[l, c, o],
    interaction = mean over l and o of (V[l, matched cue of o, o] - mean over other cues c of V[l, c, o]) / sd(V*),
    slope within a set of pairings = least-squares slope of V on V* over its states.
V*'s own interaction is 0. sd(V*) is the standard deviation over all test states.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="CrossedHistory",
    question="Does V value an object less under a cue under which it was never met, although it is worth the same?",
    world="ValueLab/CrossedHistory-v0",
    actor="none",
    metric="interaction = mean[V(matched) - V(mismatched)] / sd(V*) over minimal pairs of held-out layouts; V*'s is 0",
    margin=0.05,
    family="confirmatory",
    positive="a planted agent that follows the shard law (tau = 0.5), with noise; POS: its expert for a cue never saw "
    "the other cue's object (holds by construction: calibration)",
    null="a planted agent that is V* with the same noise",
    rule="read only if SHARD-LAW - OPTIMUM has a lower 90 % bound above 0.03 and the 90 % interval of OPTIMUM lies "
    "inside it; then each arm that is no control against 0 (margin 0.03, Holm), and the primary contrasts (margin "
    "0.05, Holm); distinguishable: adjusted interval excludes 0 and |mean| > margin; equivalent: 90 % interval inside "
    "the margin; else inconclusive",
    does_not_show="why V does so: any learner that has not seen a pairing may also shrink there; T0 asks "
    "whether one kernel learner does. It shows nothing about worlds in which the cue is relevant",
    version=2,
)
DOSE_PREDICTION = dataclasses.replace(
    PREDICTION,
    key="CrossedHistory-dose",
    question="How much of that is left where some levels of training show the other pairing?",
    family="exploratory",
    rule="estimate with a 95 % interval over seeds, beside CrossedHistory's own at dose 0; read only if its plants "
    "come out as there. At a dose of one half all pairings are met alike, and 0 is what every arm should have",
    version=1,
)
MARGIN_AGAINST_ZERO = 0.03


@dataclasses.dataclass(frozen=True)
class Crossing:
    """What V does on crossed pairings.

    Attributes:
        interaction: Mean matched minus mismatched value, in units of sd(V*); 0 for V*.
        slope_matched: Slope of V on V* on trained pairings; 1 for V*.
        slope_mismatched: The same on pairings that were never trained.
        error_matched: RMS(V - V*)/sd(V*) on trained pairings (V^pi < V*, so it is not 0 for a perfect fit).
    """

    interaction: float
    slope_matched: float
    slope_mismatched: float
    error_matched: float


def slope(values: Floats, optimum: Floats) -> float:
    """Least-squares slope of `values` on `optimum` (with intercept); nan if `optimum` is constant."""
    centred = optimum - optimum.mean()
    square = float((centred**2).sum())
    return float((centred * (values - values.mean())).sum() / square) if square > 0 else float("nan")


def crossing(values: Floats, optimum: Floats, pairing: Ints) -> Crossing:
    """The interaction and slopes of one value function.

    Args:
        values: V, float[L, K cues, K objects].
        optimum: V*, float[L, K cues, K objects].
        pairing: int[K], the object that each cue was trained with (a permutation).

    Returns:
        A `Crossing`.

    Raises:
        ValueError: Shapes differ, `pairing` is no permutation, or V* does not vary.
    """
    num_cues = values.shape[1]
    if values.shape != optimum.shape or values.shape[2] != num_cues:
        raise ValueError(f"values {values.shape} and optimum {optimum.shape} must be equal [L, K, K] shapes.")
    if sorted(pairing.tolist()) != list(range(num_cues)):
        raise ValueError(f"pairing is {pairing.tolist()}; it must be a permutation of 0..{num_cues - 1}.")
    spread = float(optimum.std())
    if not spread > 0:
        raise ValueError("V* is the same in every test state; add layouts at several distances.")
    matched = matched_mask(pairing)
    trained, crossed = values[:, matched], values[:, ~matched]
    return Crossing(
        interaction=float((trained.mean() - crossed.mean()) / spread),
        slope_matched=slope(trained.ravel(), optimum[:, matched].ravel()),
        slope_mismatched=slope(crossed.ravel(), optimum[:, ~matched].ravel()),
        error_matched=float(np.sqrt(((trained - optimum[:, matched]) ** 2).mean()) / spread),
    )


def matched_mask(pairing: Ints) -> NDArray[np.bool_]:
    """bool[K cues, K objects]: True where the cue was trained with the object."""
    return np.equal.outer(np.asarray(pairing), np.arange(len(pairing)))
