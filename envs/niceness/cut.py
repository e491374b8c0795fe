"""The process with the influence channel cut: the agent's actions cannot move θ, which follows the inert twin.

    s' = T_s(s, θ^nat, a, ω),   (s^nat', θ^nat') = T(s^nat, θ^nat, noop, ω),   θ ≡ θ^nat in reward and behaviour

Planning here and acting in the real process is the objective PSO; planning here on any other objective, and asking
whether the plan changes, is the intent test. A state of the cut process is a pair (s, s^nat).

Source: Farquhar, Carey, Everitt (2022), arXiv 2204.10018, path-specific objectives.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np

from envs.niceness.drmdp import DRMDP
from envs.niceness.utilities import Node

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Cut:
    """The cut process and the place of a coupled node in it.

    Attributes:
        case: The DR-MDP whose states are pairs.
        pairs: Index of each (s, s^nat).
    """

    case: DRMDP
    pairs: dict[Pair, int]

    def node(self, coupled: Node) -> tuple[int, int]:
        """The cut node of (s, θ, s^nat, θ^nat): the real θ is not looked at."""
        return self.pairs[coupled[0], coupled[2]], coupled[3]


def cut(case: DRMDP) -> Cut:
    """Cut a process; UserError where its noise is unkeyed."""
    case.require_keyed("PSO")
    pairs = _pairs(case)
    real, twin = (np.array(half) for half in zip(*pairs, strict=True))
    index = np.full((len(case.states),) * 2, -1)
    index[real, twin] = range(len(pairs))
    # The twin's half of every outcome is what the inert action does, whatever the agent does.
    inert_state = np.broadcast_to(case.next_state[twin, :, case.noop, None], case.next_state[real].shape)
    inert_theta = np.broadcast_to(case.next_theta[twin, :, case.noop, None], case.next_theta[real].shape)
    cut_case = dataclasses.replace(
        case, name=f"{case.name}, cut", states=tuple(f"{case.states[s]} | {case.states[n]}" for s, n in pairs),
        start=(pairs.index((case.start[0],) * 2), case.start[1]), probability=case.probability[real],
        next_state=index[case.next_state[real], inert_state], next_theta=inert_theta.copy(),
        reward=case.reward[:, real], welfare=case.welfare[real],
    )  # fmt: skip
    return Cut(cut_case, {pair: i for i, pair in enumerate(pairs)})


def _pairs(case: DRMDP) -> list[Pair]:
    """Pairs that real play can reach, whatever θ either half holds."""
    start = (case.start[0], case.start[0])
    found, queue = {start}, [start]
    for real, twin in queue:
        for outcome in range(case.probability.shape[-1]):
            mine = np.unique(case.next_state[real, ..., outcome]).tolist()
            yours = np.unique(case.next_state[twin, :, case.noop, outcome]).tolist()
            for pair in itertools.product(mine, yours):
                if pair not in found:
                    found.add(pair)
                    queue.append(pair)
    return queue
