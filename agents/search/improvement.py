"""By how much a search improves a policy: V of what it makes of the policy, less V of the policy, state by state.

Where Q is exact, π' = softmax(logits + σ(Q)) is nowhere worse than the prior (Danihelka et al. 2022, section 4). A
search knows a few Q-values roughly and fills in the others, so that nothing is guaranteed. Here both are evaluated
exactly.

Shape key: X states, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.search.tabular import SearchTable, search_table
from agents.search_config import SearchConfig
from envs.enumeration import TabularMDP
from envs.tabular import policy_evaluation

Floats = NDArray[np.float64]
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Improvement:
    """Exact values before and after one search from every state.

    Attributes:
        before: float64[X], V^π of the prior π.
        after: float64[X], V^π' of the policy π' that the searches make, played everywhere.
    """

    before: Floats
    after: Floats

    @property
    def share(self) -> float:
        """Share of the states in which π' is at least as good as π."""
        return float((self.after >= self.before - ROUNDING).mean())

    @property
    def mean_gain(self) -> float:
        """Mean over states of V^π' − V^π."""
        return float((self.after - self.before).mean())

    @property
    def worst(self) -> float:
        """The least V^π' − V^π; below 0 where a state has got worse."""
        return float((self.after - self.before).min())


def improvement(
    mdp: TabularMDP, *, logits: Floats, config: SearchConfig, value_error: Floats | None = None
) -> Improvement:
    """Search from every state, without noise, and evaluate the prior and what became of it.

    Args:
        mdp: an enumerated world.
        logits: float64[X, A] of the prior π.
        config: how the search looks ahead.
        value_error: float64[X], added to V^π at the leaves; None for leaves that are worth V^π exactly.
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    before = policy_evaluation(mdp, weights / weights.sum(axis=1, keepdims=True))
    leaves = before if value_error is None else before + value_error
    table = SearchTable(mdp, logits=logits, values=leaves)
    found = search_table(table, np.arange(mdp.num_states), config=config)
    return Improvement(before, policy_evaluation(mdp, found.policy))
