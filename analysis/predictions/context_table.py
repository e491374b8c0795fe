"""Context dependence of V itself: the table V(s, c) of every situation under every context, beside V*'s.

Shapes: M situations, C contexts.

A V that fits a reward which depends on context inherits V*'s dependence, so that every number here is read in excess of
V*'s own (and of V^pi's, which V was taught):
- interaction share of the table's variance (`analysis.instruments.interaction.context_anova`);
- effective rank exp(-sum_i p_i log p_i), p_i = s_i^2 / sum s^2 from the singular values of the table less its mean (Roy
  & Vetterli 2007, who take p_i = s_i / sum s), and rank to 1 %: the least r with sum_{i > r} s_i^2 <= .01 sum s^2;
- additivity over m shards: V(s, c) = mean + sum_{k <= m} w_k(c) f_k(s). Weights w are fitted on one half of the
  situations (leading right singular vectors), and the share of variance that they explain is read on the other half.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.instruments.interaction import context_anova
from analysis.predictions.parts import Floats
from analysis.predictions.prediction import Prediction

TOLERANCE = 0.01

PREDICTION = Prediction(
    key="ContextTable",
    question="Does V depend on context in more than the way V* does?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="share of the situation x context interaction in V's variance, minus its share in V*'s, over all situations "
    "of held-out levels that occur under every context",
    margin=0.1,
    family="exploratory",
    positive="a planted table: V* and an interaction of its own, of one and a half times V*'s standard deviation",
    null="V*: 0 by definition",
    rule="estimate with a 95 % interval over seeds; read only if INTERACTION - OPTIMUM has a lower 90 % bound above "
    "the margin",
    does_not_show="that V is made of shards, whatever its rank: a network without parts that fits a table has the "
    "table's rank",
    version=2,
)


@dataclasses.dataclass(frozen=True)
class ContextTable:
    """What a table f(s, c) shows.

    Attributes:
        interaction: Share of the interaction in its variance.
        effective_rank: Between 1 and C.
        rank: Rank to `TOLERANCE` of the variance.
        explained: Share of variance on held-out situations that m = 1..C shards explain.
    """

    interaction: float
    effective_rank: float
    rank: int
    explained: tuple[float, ...]


def read_table(table: Floats, *, seed: int) -> ContextTable:
    """Read one table.

    Args:
        table: float[M, C], not constant; M >= 4.
        seed: Of the two halves; the same for tables that are compared.
    """
    squares = np.linalg.svd(table - table.mean(), compute_uv=False) ** 2
    share = squares / squares.sum()
    entropy = -float((share[share > 0] * np.log(share[share > 0])).sum())
    left_over = 1.0 - np.cumsum(share)
    return ContextTable(
        interaction=context_anova(table).interaction,
        effective_rank=float(np.exp(entropy)),
        rank=int(np.argmax(left_over <= TOLERANCE)) + 1,
        explained=additivity(table, seed=seed),
    )


def additivity(table: Floats, *, seed: int) -> tuple[float, ...]:
    """Held-out share of variance that m = 1..C shards explain, averaged over the two ways to take the halves."""
    order = np.random.default_rng(seed).permutation(len(table))
    halves = table[order[: len(order) // 2]], table[order[len(order) // 2 :]]
    shares = [_explained(*pair) for pair in (halves, halves[::-1])]
    return tuple(float(share) for share in np.mean(shares, axis=0))


def _explained(fitted: Floats, read: Floats) -> Floats:
    weights = np.linalg.svd(fitted - fitted.mean(), full_matrices=False)[2]
    centred = read - fitted.mean()
    return np.asarray(np.cumsum(((centred @ weights.T) ** 2).sum(axis=0)) / (centred**2).sum())
