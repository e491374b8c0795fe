"""T3, ablation locality: does removing one part of V damage one context only?

Shapes: N states, U units, C contexts and parts.

Each part found by `parts.find_parts` is mean-ablated: its contribution is replaced by its mean over the states of the
same context, so that what is lost is how the part *distinguishes* states, not a constant that no decision can see. The
damage in context c is then the within-context variance of the part's contribution. With shares over contexts,
    D[p, c] = Var_c(sum_{j in p} u_j) / sum_c' Var_c'(sum_{j in p} u_j),
    locality = (x - 1/C) / (1 - 1/C),   x = max over matchings of parts to contexts of the mean matched share.
Two parts that carry the same signal hide each other's damage, so that pairs are ablated, too: with V_c(p) the damage of
part p in context c,
    overlap = sum_{p<q, c} |V_c(p + q) - V_c(p) - V_c(q)| / sum_{p<q, c} (V_c(p) + V_c(q)),   in [0, 1].
Source: the project's own definition; the matching is Kuhn's (Hungarian) assignment.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from scipy.optimize import linear_sum_assignment

from analysis.predictions.parts import Floats, Ints, find_parts, part_contributions, random_parts
from analysis.predictions.prediction import Prediction

PREDICTION = Prediction(
    key="T3",
    question="Does removing one part of V damage one context only?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="ablation locality of parts found without labels (k-means on unit contributions), 0..1",
    margin=0.1,
    family="exploratory",
    positive="POS: disjoint experts behind an oracle gate",
    null="NEG-F: the same function, every unit pushed to serve all contexts alike; RAND: an untrained net",
    rule="estimate with a 95 % interval over seeds; read only if POS - NEG-F has a lower 90 % bound of at least "
    "0.5, RAND - NEG-F lies within 0.1 and POS's means fall with the leak of its gate",
    does_not_show="that a part was made by its own reinforcement events (a gate alone localises), or that the parts "
    "are used one at a time by the agent: redundancy between parts hides damage",
    version=2,
)


@dataclasses.dataclass(frozen=True)
class Ablation:
    """Damage of each part in each context.

    Attributes:
        damage_share: D, float[C parts, C contexts], rows sum to 1 (a part without any damage: 1/C).
        locality: Diagonal dominance after the best matching, in [-1/(C-1), 1]; 0 if damage is spread evenly.
    """

    damage_share: Floats
    locality: float


def damages(contributions: Floats, contexts: Ints, num_contexts: int) -> Floats:
    """Var_c of each column of float[N, P] within each context, float[P, C]; ValueError for fewer than two states."""
    counts = np.bincount(contexts, minlength=num_contexts)
    if counts.min() < 2:
        raise ValueError(f"states per context are {counts.tolist()}; each context needs at least 2 to show damage.")
    return np.stack([contributions[contexts == c].var(axis=0) for c in range(num_contexts)], axis=1)


def damage_shares(contributions: Floats, contexts: Ints, num_contexts: int) -> Floats:
    """D[p, c] of parts' contributions.

    Args:
        contributions: float[N, P], one column a part.
        contexts: int[N] in 0..C-1; every context present.
        num_contexts: C.

    Returns:
        float[P, C]; a row of 1/C where a part never varies.

    Raises:
        ValueError: A context has fewer than two states.
    """
    damage = damages(contributions, contexts, num_contexts)
    total = damage.sum(axis=1, keepdims=True)
    return np.where(total > 0, damage / np.where(total > 0, total, 1.0), 1.0 / num_contexts)


def matched_parts(shares: Floats) -> Ints:
    """The part of each context, int[C], on the matching with the largest sum of shares float[C, C]."""
    parts: Ints = linear_sum_assignment(-shares.T)[1]
    return parts


def diagonal_dominance(shares: Floats) -> float:
    """(x - 1/C)/(1 - 1/C), x the mean share on the best matching of parts to contexts; shares float[C, C]."""
    num_contexts = shares.shape[1]
    matched = float(shares[matched_parts(shares), np.arange(num_contexts)].mean())
    return float((matched - 1.0 / num_contexts) / (1.0 - 1.0 / num_contexts))


def ablation(contributions: Floats, parts: Ints, contexts: Ints) -> Ablation:
    """Damage shares and locality of given parts; `contributions` float[N, U], `parts` int[U], `contexts` int[N]."""
    num_contexts = int(contexts.max()) + 1
    by_part = part_contributions(contributions, parts, num_contexts)
    shares = damage_shares(by_part, contexts, num_contexts)
    return Ablation(shares, diagonal_dominance(shares))


def pair_overlap(by_part: Floats, contexts: Ints) -> float:
    """How much the damage of two parts together departs from the sum of their damages, 0 (not at all) to 1.

    Args:
        by_part: Contributions float[N, P] of at least two parts.
        contexts: int[N].

    Returns:
        0 where no two parts vary together within a context, 1 where all parts are copies of one (or its negative);
        0 where nothing varies.
    """
    num_contexts = int(contexts.max()) + 1
    alone = damages(by_part, contexts, num_contexts)
    pairs = list(itertools.combinations(range(by_part.shape[1]), 2))
    together = damages(np.stack([by_part[:, p] + by_part[:, q] for p, q in pairs], axis=1), contexts, num_contexts)
    added = np.stack([alone[p] + alone[q] for p, q in pairs])
    return float(np.abs(together - added).sum() / max(added.sum(), np.finfo(float).tiny))


def locality_of(contributions: Floats, contexts: Ints, *, seed: int) -> dict[str, float]:
    """The test's scores on one net: found parts, pairs of them, and random parts of the same sizes (mean of 20 draws).

    `seed` is of a named stream (see `analysis.predictions.parts`); the draws take it and the 19 integers after it.
    """
    num_contexts = int(contexts.max()) + 1
    parts = find_parts(contributions, num_contexts, seed=seed)
    draws = [ablation(contributions, random_parts(parts, seed=seed + r), contexts).locality for r in range(20)]
    return {
        "locality": ablation(contributions, parts, contexts).locality,
        "random_parts": float(np.mean(draws)),
        "pair_overlap": pair_overlap(part_contributions(contributions, parts, num_contexts), contexts),
    }
