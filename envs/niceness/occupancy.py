"""ParetoUD of cases too large to enumerate: a linear programme on occupancies x(t, s, θ, a) of random policies.

    max Σ_θ w_θ EU_θ(x)   subject to   EU_θ(x) >= floor_θ,   Σ_a x(t, n', a) = inflow(t, n'),   x >= 0

In float64. It finds what one policy of the set is worth, and not the set, so that it fills no row of a table; and it
answers what enumeration cannot, whether a mixture of policies dominates.

Source: Puterman (1994), Markov Decision Processes, section 6.9, on a clock; for ParetoUD see `envs.niceness.pareto`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from envs.niceness.backward import every_action, layers
from envs.niceness.drmdp import DRMDP
from envs.niceness.pareto import Vector, eu_of_each
from envs.niceness.policies import expected, inert
from envs.niceness.utilities import Node, Present, branches

TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Occupancies:
    """The linear programme over occupancies x(t, s, θ, a) >= 0 of random policies.

    Attributes:
        places: (t, node) in order of time.
        columns: (index of place, action) of each variable.
        flow: Sparse float64[number of places, number of columns], inflow less outflow.
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
    flow, pay = sparse.lil_array((len(places), len(columns))), np.zeros((len(utilities), len(columns)))
    for c, (i, action) in enumerate(columns):
        time, node = places[i]
        flow[i, c] -= 1
        for after, ways in branches(memory, node, action).items():
            for probability, outcome in ways:
                pay[:, c] += [float(probability * u.pay(time, node, (action, outcome))) for u in utilities]
                if time + 1 < case.horizon:
                    flow[index[time + 1, after], c] += float(probability)
    source = np.zeros(len(places))
    source[0] = 1.0
    return Occupancies(places, columns, flow.tocsr(), source, pay)


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


def best_of_pareto_ud(case: DRMDP) -> dict[str, tuple[float, float]]:
    """The random policy of ParetoUD that is best for the sum over θ: θ -> EU_θ, and that of doing nothing."""
    floor = [float(expected(inert(case), utility)) for utility in eu_of_each(case)]
    best = best_weighted(case, weights=[1.0] * len(floor), floor=[value - TOLERANCE for value in floor])
    assert best is not None, "the inert policy reaches its own worth"
    return dict(zip(case.thetas, zip(best, floor, strict=True), strict=True))


def undominated_by_any(case: DRMDP, vector: Vector) -> bool:
    """Whether no policy, random ones included, is better for one θ and worse for none, within TOLERANCE."""
    floor = [float(v) for v in vector]
    best = best_weighted(case, weights=[1.0] * len(floor), floor=[v - TOLERANCE for v in floor])
    return best is None or sum(best) <= sum(floor) + len(floor) * 10 * TOLERANCE
