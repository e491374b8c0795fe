"""Search in an enumerated world with tables for prior and values.

Shape key: B trees, N nodes, X states, A actions, O outcomes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.search.batched import SearchResult, result_of, rules_of, start_roots, tree_loops
from agents.search.config import SearchConfig
from agents.search.rules import considered_visits
from agents.search.table_kernels import TableModel
from agents.search.tree import Leaves, Tree
from envs.enumeration import TabularMDP
from envs.errors import UserError

Floats = NDArray[np.float64]


def search_table(
    mdp: TabularMDP,
    states: NDArray[np.int64],
    config: SearchConfig,
    *,
    logits: Floats | None = None,
    values: Floats | None = None,
    discount: float | None = None,
    noise: Floats | None = None,
) -> SearchResult:
    """Look ahead from every state, as `search` does with a `TableEvaluator`, about ten times as fast.

    Args:
        mdp: an enumerated world.
        states: int64[B], roots.
        config: how many simulations, by which rule; rollouts need the world's kernel, hence `search`.
        logits: float64[X, A] of the prior, −inf for illegal actions; None for a uniform one.
        values: float64[X] of leaves; None for 0.
        discount: γ; None for the world's own.
        noise: float64[B, A] at the roots, as `search` takes it.

    Raises:
        UserError: settings that tables have no place for.
    """
    if not config.use_rewards or config.rollout_share > 0.0:
        raise UserError(
            "A table search knows no state after an end and plays nothing out; "
            "use `search` for use_rewards=False or a rollout_share above 0."
        )
    shape = (mdp.num_states, mdp.num_actions)
    logits = np.zeros(shape) if logits is None else np.ascontiguousarray(logits, np.float64)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    model = TableModel(
        mdp.next_state, mdp.probability, mdp.components @ mdp.reward_weights, logits=logits,
        probs=probs / probs.sum(axis=1, keepdims=True),
        values=np.zeros(mdp.num_states) if values is None else np.ascontiguousarray(values, np.float64),
    )  # fmt: skip
    batch, num_nodes = len(states), config.num_simulations + 1
    grown = Tree.empty(batch, num_nodes, num_actions=shape[1], num_outcomes=mdp.next_state.shape[2])
    numbers = rules_of(config, mdp.discount if discount is None else discount)
    root_noise = start_roots(grown, (model.logits[states], model.values[states]), config, noise=noise)
    visited = np.full((batch, num_nodes), -1, np.int32)
    visited[:, 0] = states
    schedule = considered_visits(config.max_considered, config.num_simulations)
    work = (visited, Leaves.empty(batch), np.zeros(shape[1]))
    tree_loops()["search_tables"](grown, numbers, (root_noise, schedule), model, work)
    return result_of(grown, numbers, noise=root_noise, rows=mdp.rows[np.maximum(visited, 0)])
