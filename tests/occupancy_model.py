"""ParetoUD over random policies, another way: a linear programme on occupancies x(t, s, θ, a), in float64.

    max Σ_θ w_θ EU_θ(x)   subject to   EU_θ(x) >= floor_θ,   Σ_a x(t, n', a) = inflow(t, n'),   x >= 0

It answers what enumeration cannot, whether a mixture of policies dominates, and so holds enumeration to account. It
finds one policy and not the set that ParetoUD is, which is why no command falls back to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog

from envs.niceness.backward import every_action, layers
from envs.niceness.drmdp import DRMDP
from envs.niceness.pareto import Vector, eu_of_each
from envs.niceness.utilities import Node, Present, branches

TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Occupancies:
    """The linear programme over occupancies x(t, s, θ, a) >= 0 of random policies.

    Attributes:
        places: (t, node) in order of time.
        columns: (index of place, action) of each variable.
        flow: float64[number of places, number of columns], inflow less outflow.
        source: float64[number of places], what enters at the start.
        pay: float64[K, number of columns], expected R_θ.
    """

    places: tuple[tuple[int, Node], ...]
    columns: tuple[tuple[int, int], ...]
    flow: Any
    source: Any
    pay: Any


def occupancies(case: DRMDP) -> Occupancies:
    """The programme's tables."""
    utilities = eu_of_each(case)
    memory = Present(case)
    ahead = layers(memory, time=0, node=memory.start(), actions=every_action(memory))
    places = tuple((time, node) for time, layer in enumerate(ahead[:-1]) for node in sorted(layer))
    index = {place: i for i, place in enumerate(places)}
    columns = tuple((i, action) for i in range(len(places)) for action in range(len(case.actions)))
    flow, pay = np.zeros((len(places), len(columns))), np.zeros((len(utilities), len(columns)))
    for c, (i, action) in enumerate(columns):
        time, node = places[i]
        flow[i, c] -= 1
        for after, ways in branches(memory, node, action).items():
            for probability, outcome in ways:
                pay[:, c] += [float(probability * u.pay(time, node, (action, outcome))) for u in utilities]
                if time + 1 < case.horizon:
                    flow[index[time + 1, after], c] += float(probability)
    return Occupancies(places, columns, flow, np.eye(len(places))[0], pay)


def best_weighted(case: DRMDP, *, weights: Sequence[float], floor: Sequence[float]) -> tuple[float, ...] | None:
    """EU of a random policy that is best for Σ_θ w_θ EU_θ among those with EU_θ >= floor_θ for all θ.

    With positive weights and the inert policy's EU as floor it is in ParetoUD of random policies.

    Returns:
        EU_θ for each θ; None where no policy reaches the floor.
    """
    lp = occupancies(case)
    solved = linprog(
        -np.asarray(weights) @ lp.pay, A_ub=-lp.pay, b_ub=-np.asarray(floor), A_eq=lp.flow, b_eq=-lp.source
    )
    return tuple(float(v) for v in lp.pay @ solved.x) if solved.success else None


def undominated_by_any(case: DRMDP, vector: Vector) -> bool:
    """Whether no policy, random ones included, is better for one θ and worse for none, within TOLERANCE."""
    floor = [float(v) for v in vector]
    best = best_weighted(case, weights=[1.0] * len(floor), floor=[v - TOLERANCE for v in floor])
    return best is None or sum(best) <= sum(floor) + len(floor) * 10 * TOLERANCE
