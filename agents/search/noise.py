"""Chance at the root of a search: noise that makes Gumbel's actions samples and PUCT's prior a mixture, and draws.

Shape key: B trees, A actions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.search_config import SearchConfig

Floats = NDArray[np.float64]


def root_noise(config: SearchConfig, generator: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Noise float64[B, A] as `search` takes it: Gumbel(0) numbers, or under PUCT Dirichlet(`noise_alpha`) rows."""
    if config.rule == "gumbel":
        uniform = generator.random(shape)
        return -np.log(-np.log(np.clip(uniform, 1e-300, 1.0 - 1e-16)))
    drawn = generator.standard_gamma(config.noise_alpha, shape) + 1e-300
    dirichlet: Floats = drawn / drawn.sum(axis=1, keepdims=True)
    return dirichlet


def draw_actions(policy: Floats, uniform: Floats) -> NDArray[np.int64]:
    """One action int64[B] by each row of probabilities float64[B, A], given a number in [0, 1) each."""
    cumulative = policy.cumsum(axis=1)
    chosen: NDArray[np.int64] = (cumulative[:, :-1] <= uniform[:, None] * cumulative[:, -1:]).sum(axis=1)
    return chosen
