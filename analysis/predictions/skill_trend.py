"""T12, skill trend: do signs of shards come with skill, while V learns?

Shapes: J snapshots of one network in training, the untrained one first.

Snapshots are compared by what V1 earns with them, not by steps, since arms learn at different speeds:
    skill_j = return of V1 at snapshot j / return of the optimum, exact, on held-out levels,
    slope = sum_j (skill_j - mean)(score_j - mean) / sum_j (skill_j - mean)^2,
score_j being T3's ablation locality on MultiNeed (T12) and T0's gain of the shard law on CrossedHistory (T12-T0).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.predictions.parts import Floats
from analysis.predictions.prediction import Prediction

_RULE = "estimate with a 95 % interval over seeds"
_DOES_NOT_SHOW = (
    "that skill makes shards or the reverse: both follow from training, and the snapshots of one network are no "
    "independent draws. Skill rises early and saturates, so that the slope rests on few snapshots at low skill"
)
PREDICTION = Prediction(
    key="T12",
    question="Does ablation locality rise with skill during training?",
    world="ValueLab/MultiNeed-v0",
    actor="V1",
    metric="slope of T3's ablation locality on V1's return (share of the optimum's) over snapshots of one training",
    margin=0.1,
    family="exploratory",
    positive="POS: its locality is there before training, so that it calibrates the scale and not the slope; the slope "
    "of scores that are planted to rise with skill is 1",
    null="scores that are planted to rise with steps after skill has saturated: slope near 0",
    rule=_RULE,
    does_not_show=_DOES_NOT_SHOW,
)
CONTEST_PREDICTION = dataclasses.replace(
    PREDICTION,
    key="T12-T0",
    question="Does the gain of the shard law rise with skill during training?",
    world="ValueLab/CrossedHistory-v0",
    metric="slope of T0's gain (nats per state) on V1's return (share of the optimum's) over snapshots, the law "
    "stacked on the other seeds' snapshots at the same step",
    positive="scores that are planted to rise with skill: slope 1",
)
LEAST_SPREAD = 0.05
"""Of skill over the snapshots, as a standard deviation: below it there is no trend to speak of."""


@dataclasses.dataclass(frozen=True)
class Trend:
    """How a score goes with skill.

    Attributes:
        slope: Score per unit of skill; None where skill varies by less than `LEAST_SPREAD`.
        rank_correlation: Spearman's, -1..1; None where the slope is, or the scores are all equal.
        first: Score of the untrained network.
        last: Score of the trained one.
    """

    slope: float | None
    rank_correlation: float | None
    first: float
    last: float


def trend(skill: Floats, scores: Floats) -> Trend:
    """Relate scores float[J] to skill float[J], both in the order of training."""
    from scipy.stats import spearmanr

    slope = rank = None
    if skill.std() >= LEAST_SPREAD:
        centred = skill - skill.mean()
        slope = float((centred * scores).sum() / (centred**2).sum())
        rank = float(spearmanr(skill, scores).statistic) if np.ptp(scores) > 0 else None
    return Trend(slope, rank, float(scores[0]), float(scores[-1]))
