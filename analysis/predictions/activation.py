"""T1, context-gated activation: does the context tell which part of V is at work?

Shapes: N states, U units, C contexts and parts.

Parts are found without labels (`parts.find_parts`). The active part of a state is the one that says most, whatever
its sign. (Departures from a part's mean would not do: where two parts take turns, both depart alike.)
    NMI = I(context; active part) / ((H(context) + H(active part)) / 2),
    score = max(0, (NMI - NMI_0) / (1 - NMI_0)),   NMI_0: the same network before training.
Source: normalised mutual information with the arithmetic mean (Strehl & Ghosh 2002; Vinh et al. 2010); the baseline is
the project's own, since untrained networks are not at 0.
"""

from __future__ import annotations

import numpy as np

from analysis.predictions.parts import Floats, Ints, find_parts, part_contributions
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T1",
    question="Does the context tell which part of V is at work?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="max(0, (NMI - NMI0)/(1 - NMI0)), NMI of context and active part, parts found without labels; NMI0: the "
    "same network before training",
    margin=0.1,
    family="exploratory",
    positive="POS: disjoint experts behind an oracle gate (holds by construction: calibration)",
    null="NEG-F: the same function, every unit pushed to serve all contexts alike; RAND: a second untrained network "
    "against the first",
    rule="estimate with a 95 % interval over seeds; read only if POS - NEG-F has a lower 90 % bound of at least "
    "0.5, RAND - NEG-F lies within 0.1 and POS's means fall with the leak of its gate",
    does_not_show="that events made the parts, or that V's context dependence exceeds V*'s: a part that follows one "
    "object is active where that object is needed in any V that fits",
    version=2,
)


def active_part(contributions: Floats, parts: Ints, num_parts: int) -> Ints:
    """argmax_p |c_p(s)|, int[N]; c_p is the sum of the units of part p."""
    return np.asarray(np.abs(part_contributions(contributions, parts, num_parts)).argmax(axis=1))


def gating(contributions: Floats, contexts: Ints, *, seed: int) -> float:
    """NMI of context and active part, in [0, 1]; parts are found with `seed` (see `analysis.predictions.parts`)."""
    num_contexts = int(contexts.max()) + 1
    parts = find_parts(contributions, num_contexts, seed=seed)
    return declared_gating(contributions, parts, contexts)


def declared_gating(contributions: Floats, parts: Ints, contexts: Ints) -> float:
    """NMI of context and active part for given parts int[U]."""
    from sklearn.metrics import normalized_mutual_info_score

    active = active_part(contributions, parts, int(parts.max()) + 1)
    return float(normalized_mutual_info_score(contexts, active))


def above_untrained(information: float, untrained: float) -> float | None:
    """max(0, (NMI - NMI_0)/(1 - NMI_0)), at most 1 whatever the rounding; None where NMI_0 is 1 already."""
    return None if untrained >= 1.0 else min(1.0, max(0.0, (information - untrained) / (1.0 - untrained)))
