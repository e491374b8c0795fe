"""Pairs with a known truth: planted features, a distractor, noise alone, and contexts that flip a feature or do not.

Shapes: n pairs, d features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import derive_seed
from analysis.instruments.contrast_pairs import ContrastPairs, contrast_pairs
from analysis.instruments.truth import CcsSettings, fit_ccs, read_ccs
from envs.errors import require_integer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DistractorPoint:
    """What a search found beside a distractor.

    Attributes:
        strength: Of the distractor; the truth's is fixed.
        seed: Of data and search.
        cos_truth: |cos| of the direction with the truth's.
        cos_distractor: |cos| with the distractor's.
        accuracy: About the truth, on other pairs; chance ½.
        loss: On other pairs.
    """

    strength: float
    seed: int
    cos_truth: float
    cos_distractor: float
    accuracy: float
    loss: float


def planted_pairs(
    num_pairs: int, num_features: int, *, truth: float, distractor: float, seed: int, noise: float = 0.3
) -> ContrastPairs:
    """x± = ±(t · truth · e_0 + g · distractor · e_1 + e_2) + noise, with fair signs t and g of each pair.

    e_2 tells the sides apart as such, as the word "Yes" does; its mean is what normalisation takes off.

    Returns:
        Pairs with labels t > 0.
    """
    require_integer("num_features", num_features, low=3, high=10**6)
    rng = np.random.default_rng(seed)
    told, other = rng.choice([-1.0, 1.0], size=(2, num_pairs))
    signal = np.zeros((num_pairs, num_features))
    signal[:, 0], signal[:, 1], signal[:, 2] = truth * told, distractor * other, 1.0
    plus, minus = (side * signal + noise * rng.normal(size=signal.shape) for side in (1.0, -1.0))
    return contrast_pairs(plus, minus, told)


def noise_pairs(num_pairs: int, num_features: int, *, seed: int) -> ContrastPairs:
    """The planted null: independent normal sides, with labels that mean nothing."""
    rng = np.random.default_rng(seed)
    plus, minus = rng.normal(size=(2, num_pairs, num_features))
    return contrast_pairs(plus, minus, rng.choice([-1.0, 1.0], size=num_pairs))


def context_pairs(
    num_pairs: int, num_features: int, *, num_flipping: int, seed: int, noise: float = 0.1
) -> ContrastPairs:
    """Situations s under two contexts: h(s, ±) = a(s) ± b + Σ_j ± f_j(s) u_j + noise, directions orthonormal.

    Three features a(s) of the situation and the code b of the context are the same for all pairs' contexts or all
    situations; the f_j ∈ {−1, 1} change sign with the context. `num_flipping` = 0 is the planted null: a network that
    shows situation and context, and nothing that depends on both.

    Returns:
        Pairs with labels f_0 > 0 (of an unused f_0 where none flips).
    """
    require_integer("num_features", num_features, low=num_flipping + 4, high=10**6)
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(num_features, num_features)))[0]
    flips = rng.choice([-1.0, 1.0], size=(num_pairs, max(num_flipping, 1)))
    situation = rng.normal(size=(num_pairs, 3)) @ axes[:3]
    context = axes[3] + flips[:, :num_flipping] @ axes[4 : 4 + num_flipping]
    plus, minus = (
        situation + side * context + noise * rng.normal(size=(num_pairs, num_features)) for side in (1.0, -1.0)
    )
    return contrast_pairs(plus, minus, flips[:, 0])


def distractor_sweep(
    strengths: Sequence[float],
    *,
    seeds: Sequence[int],
    num_pairs: int = 500,
    num_features: int = 32,
    truth: float = 1.5,
    settings: CcsSettings | None = None,
) -> tuple[DistractorPoint, ...]:
    """Searches beside distractors of several strengths: what is most prominent is found, true or not."""
    points = []
    for strength in strengths:
        for seed in seeds:
            train, test = (
                planted_pairs(
                    num_pairs, num_features, truth=truth, distractor=strength, seed=derive_seed(seed, "pairs", part)
                )
                for part in ("train", "test")
            )
            probe = fit_ccs(train, seed=derive_seed(seed, "search"), settings=settings)
            cosines = np.abs(probe.direction) / np.linalg.norm(probe.direction)
            reading = read_ccs(probe, train, test)
            points.append(
                DistractorPoint(strength, seed, float(cosines[0]), float(cosines[1]), reading.accuracy, reading.loss)
            )
    return tuple(points)
