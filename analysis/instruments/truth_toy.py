"""Pairs with a known truth: a planted feature, noise alone, and contexts that flip a feature or do not.

Shapes: n pairs, d features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.instruments.contrast_pairs import ContrastPairs, contrast_pairs
from envs.errors import require_integer

Floats = NDArray[np.float64]


def planted_pairs(num_pairs: int, num_features: int, *, truth: float, seed: int, noise: float = 0.3) -> ContrastPairs:
    """x± = ±(t · truth · e_0 + e_1) + noise, with a fair sign t of each pair.

    e_1 tells the sides apart as such, as the word "Yes" does; its mean is what normalisation takes off.

    Returns:
        Pairs with labels t > 0. `truth_distractor.beside_distractor` adds a feature that flips as they do.
    """
    require_integer("num_features", num_features, low=2, high=10**6)
    rng = np.random.default_rng(seed)
    told = rng.choice([-1.0, 1.0], size=num_pairs)
    signal = np.zeros((num_pairs, num_features))
    signal[:, 0], signal[:, 1] = truth * told, 1.0
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
