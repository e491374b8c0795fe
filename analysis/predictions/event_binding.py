"""T13's second question: histories were assigned at random; do parts follow the assignment, or what looks alike?

Shapes: L layouts, K cues and objects, P parts (here: units).

On CrossedHistory V* is the same for every cue and object, while the run's pairing, drawn at random, says which cue and
which object were reinforced together. A part that was made by the events of one pairing answers to that cue *and* to
that object, also where they come apart. With A_p(c, o) the part's mean contribution over layouts, and its main effects
    alpha_p(c) = mean_o A_p - mean A_p,   beta_p(o) = mean_c A_p - mean A_p,
    binding(rho) = sum_pc alpha_p(c) beta_p(rho(c)) / sqrt(sum alpha^2 sum beta^2)   in [-1, 1],
the score is binding(pairing). Cues and objects are inputs of their own, so that no cue looks more like one object than
like another: similarity of inputs gives every permutation the same expectation, and the mean over all is exactly 0.

The parts are single units. Clusters of units were tried first: with two cues there are two, and the sign of what two
clusters bind is a coin's throw (untrained networks score -.9 to 1).
"""

from __future__ import annotations

import numpy as np

from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T13-history",
    question="Where histories were assigned at random, do units answer to the cue and the object of one history?",
    world="ValueLab/CrossedHistory-v0",
    actor="none",
    metric="correlation, over units, of their main effects of a cue and of the object that the run paired it with",
    margin=0.1,
    family="exploratory",
    positive="planted units that answer to a cue and the object of its history; POS: an expert for each cue, which met "
    "that cue's object alone (holds partly by construction)",
    null="planted units that answer to a cue and an object at random; an untrained network",
    rule="estimate with a 95 % interval over seeds; 0 is the mean over all pairings of one network. Read only if "
    "HISTORY - CHANCE has a lower 90 % bound above the margin and the 90 % interval of CHANCE lies inside it",
    does_not_show="that events made the parts: a V that is lower on pairings that it never met binds them, too; and "
    "with two cues one part's binding is the negative of the other pairing's",
    version=2,
)


def profile(contributions: Floats, columns: Ints, num_parts: int) -> Floats:
    """Mean contribution of each part to each cue and object, float[P, K, K].

    Args:
        contributions: u, float[L, K, K, U] by layout, cue and object.
        columns: int[U], the part of each unit; -1 for units of none.
        num_parts: P.
    """
    means = contributions.mean(axis=0)
    return np.stack([means[..., columns == part].sum(axis=-1) for part in range(num_parts)])


def binding(activity: Floats, pairing: Ints) -> float:
    """Score of a profile float[P, K, K] under a pairing int[K] (object of each cue); 0 where no part has both effects.

    Raises:
        ValueError: The pairing is no permutation.
    """
    pairing = np.asarray(pairing)
    if sorted(pairing.tolist()) != list(range(activity.shape[1])):
        raise ValueError(f"pairing is {pairing.tolist()}; it must be a permutation of 0..{activity.shape[1] - 1}.")
    mean = activity.mean(axis=(1, 2), keepdims=True)
    of_cue, of_object = (activity - mean).mean(axis=2), (activity - mean).mean(axis=1)
    scale = np.linalg.norm(of_cue) * np.linalg.norm(of_object)
    if scale <= 1e-12 * np.linalg.norm(activity) ** 2:
        return 0.0
    return float((of_cue * of_object[:, pairing]).sum() / scale)
