"""One action for each of many rows of logits, in one pass: rows of a few actions are too short for whole-array steps.

Shape key: N rows, A actions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from agents.streams import Floats, Indices


def sample_actions(logits: Floats, uniform: Floats) -> tuple[Indices, NDArray[np.float32]]:
    """Invert the distribution function: a = #{i < A : Σ_{j ≤ i} π_j ≤ u} with π = softmax(logits), and log π_a.

    Args:
        logits: float64[N, A], finite.
        uniform: float64[N] in [0, 1).

    Returns:
        int64[N] and float32[N].
    """
    actions, log_probs = np.empty(len(logits), np.int64), np.empty(len(logits), np.float32)
    _sample(logits, uniform, np.empty(logits.shape[1]), (actions, log_probs))
    return actions, log_probs


@njit(cache=True, nogil=True)
def _sample(logits: Any, uniform: Any, cumulative: Any, out: Any) -> None:
    actions, log_probs = out
    num_actions = logits.shape[1]
    for n in range(logits.shape[0]):
        highest = -math.inf
        for a in range(num_actions):
            highest = max(highest, logits[n, a])
        total = 0.0
        for a in range(num_actions):
            total += math.exp(logits[n, a] - highest)
            cumulative[a] = total
        chosen = 0
        while chosen < num_actions - 1 and cumulative[chosen] <= uniform[n] * total:
            chosen += 1
        actions[n], log_probs[n] = chosen, logits[n, chosen] - highest - math.log(total)
