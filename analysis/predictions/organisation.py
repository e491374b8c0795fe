"""T9, history and not function: are two networks that compute the same V organised alike inside?

Shapes: N states, U units (their number may differ between the two networks), C contexts.

A unit's selectivity says whether it serves one context or all: with d_jc the variance of its contribution within
context c (its damage, as in T3) and share_jc = d_jc / sum_c d_jc,
    selectivity_j = (sum_c share_jc^2 - 1/C) / (1 - 1/C)   in [0, 1],   weight_j = sum_c d_jc / sum_jc d_jc.
The organisation of a network is the weighted distribution of selectivity over its units, and
    distance = W1(organisation of A, organisation of B) = integral over t of |F_A(t) - F_B(t)|,   in [0, 1],
the Wasserstein distance: symmetric, 0 for equal organisations, 1 between "each unit serves one context" and "each unit
serves all alike". Units need no matching, and neither their order nor their number nor their scale matters.

Beside it stands 1 - CKA of unit contributions (Kornblith et al. 2019, linear, centred), which compares what units say
state by state: it calls two seeds of one network different (.6), so it cannot show that a history does more.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.predictions.ablation import damages
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T9",
    question="Does a V that was taught another's values come to be organised unlike it?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="Wasserstein distance between the units' selectivities of pupil and teacher, other initial weights; for an "
    "arm without teacher, between its two seeds",
    margin=0.1,
    family="exploratory",
    positive="DISTILL-POS: MONO taught POS's values, against POS",
    null="MONO: two seeds of MONO, the same history twice",
    rule="estimate with a 95 % interval over seeds, beside the match of the two functions; read only if DISTILL-POS - "
    "MONO has a lower 90 % bound of at least 0.5",
    does_not_show="which events made a unit, or that two organisations at distance 0 are the same: selectivity is one "
    "statistic of a network, and networks that differ in any other way are at distance 0",
)


@dataclasses.dataclass(frozen=True)
class Organisation:
    """The distribution of selectivity over units: `selectivity` float[U] in [0, 1], `weight` float[U], sum 1."""

    selectivity: Floats
    weight: Floats


def organisation(contributions: Floats, contexts: Ints) -> Organisation:
    """The organisation of a network.

    Args:
        contributions: u, float[N, U].
        contexts: int[N] in 0..C-1, C >= 2, each at least twice.

    Raises:
        ValueError: No unit varies within any context, or a context has fewer than two states.
    """
    num_contexts = int(contexts.max()) + 1
    damage = damages(contributions, contexts, num_contexts)
    total = damage.sum(axis=1)
    if not total.sum() > 0:
        raise ValueError("no unit varies within a context, so the network has no organisation to compare.")
    share = damage / np.where(total > 0, total, 1.0)[:, None]
    selectivity = ((share**2).sum(axis=1) - 1.0 / num_contexts) / (1.0 - 1.0 / num_contexts)
    return Organisation(np.where(total > 0, selectivity, 0.0), total / total.sum())


def distance(first: Floats, second: Floats, contexts: Ints) -> float:
    """W1 between the organisations of two networks on the same states, in [0, 1]; symmetric.

    Args:
        first: Unit contributions of one network, float[N, U].
        second: Those of the other, float[N, U'].
        contexts: int[N].
    """
    from scipy.stats import wasserstein_distance

    one, two = organisation(first, contexts), organisation(second, contexts)
    return float(wasserstein_distance(one.selectivity, two.selectivity, one.weight, two.weight))


def unlikeness(first: Floats, second: Floats) -> float:
    """1 - linear CKA of centred contributions: 1 - |A'B|^2 / (|A'A| |B'B|), Frobenius norms; in [0, 1]."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    return float(1.0 - np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)))


def match(first: Floats, second: Floats) -> float:
    """How nearly two networks compute one function: 1 - E[(V - V')^2] / mean of the two variances; V, V' float[N]."""
    return float(1.0 - ((first - second) ** 2).mean() / ((first.var() + second.var()) / 2.0))
