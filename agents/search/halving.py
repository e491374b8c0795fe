"""Sequential halving at the root: which of its actions a simulation may take.

Source: Karnin et al. (2013), "Almost optimal exploration in multi-armed bandits", as in Danihelka et al. (2022),
section 2.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray


@functools.lru_cache(maxsize=8)
def considered_visits(max_considered: int, num_simulations: int) -> NDArray[np.int32]:
    """Sequential halving as a table: how often an action has been visited that simulation i may take at the root.

    With m actions considered, ⌈log₂ m⌉ phases get equal shares of the simulations; each phase visits all that are left
    equally often and leaves the better half, at least two, to the next one.

    Args:
        max_considered: M ≥ 1, most actions considered at first.
        num_simulations: n ≥ 1.

    Returns:
        int32[n, M + 1], not writeable; column m is the schedule for m actions, column 0 is not used.
    """
    table = np.zeros((num_simulations, max_considered + 1), np.int32)
    for m in range(1, max_considered + 1):
        table[:, m] = _halving(m, num_simulations)
    table.flags.writeable = False
    return table


def _halving(num_actions: int, num_simulations: int) -> list[int]:
    if num_actions == 1:
        return list(range(num_simulations))
    num_phases = math.ceil(math.log2(num_actions))
    schedule: list[int] = []
    left, visited = num_actions, 0
    while len(schedule) < num_simulations:
        for _ in range(max(1, num_simulations // (num_phases * left))):
            schedule += [visited] * left
            visited += 1
        left = max(2, left // 2)
    return schedule[:num_simulations]
