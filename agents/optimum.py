"""The best return that could be had in the episodes that an agent played: exact, or of plans found by search.

Shape key: E episodes, L levels, I starts of a level.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.evaluation import Evaluation
from agents.seeding import derive_seed
from envs.beliefs import hides_best_action, hides_state, observation_numbers
from envs.demonstrations import pays_before_the_end, search_demonstrations
from envs.episodes import episode_returns
from envs.errors import UserError, cause
from envs.memoryless import memoryless_optimum
from envs.rows import World
from envs.tabular import Solution, TabularMDP, enumerate_world, start_value, value_iteration

MAX_STATES = 1_000_000
NUM_SEARCHED = 8
MAX_NODES = 20_000


@dataclass(frozen=True)
class ObservedOptimum:
    """What agents get on average at best that act on observations, where states look alike; discounted.

    Attributes:
        with_memory: Of those that remember all they have seen and done, None where it is not known.
        without_memory: Of those whose action is a function of the observation, None where it is not known.
        words: Why there are no numbers; "" where there are.
    """

    with_memory: float | None
    without_memory: float | None
    words: str = ""


@dataclass(frozen=True)
class Optimum:
    """What an optimal agent gets on average.

    Attributes:
        discounted: Mean of Σ_t γ^t r_t, None where it is not known.
        undiscounted: Mean of Σ_t r_t, None where it is not known.
        words: Where the numbers come from, or why there are none.
        observed: What can be had by observations alone; None where they tell all that an optimal policy needs.
    """

    discounted: float | None
    undiscounted: float | None
    words: str
    observed: ObservedOptimum | None = None


def exact_optimum(world: World, played: Evaluation) -> Optimum:
    """Mean of V* over the starts of the levels that were played, each level counted as often as it was.

    V* sees the whole state, also what observations hide, and knows no time limit.
    """
    levels, counts = np.unique(played.levels, return_counts=True)
    try:
        mdp = enumerate_world(world, levels, max_states=MAX_STATES)
        solution = value_iteration(mdp, discount=played.discount)
    except UserError as error:
        return Optimum(None, None, f"not known: {cause(error)}")
    shares = np.repeat(counts / (counts.sum() * world.num_starts), world.num_starts)
    mdp = dataclasses.replace(mdp, start_probability=shares)
    words = "exact, over all starts of the levels that were played"
    observed = _observed_optimum(world, mdp, solution, discount=played.discount)
    return Optimum(start_value(mdp, solution.values), None, words, observed)


def _observed_optimum(
    world: World, mdp: TabularMDP, solution: Solution, *, discount: float
) -> ObservedOptimum | None:
    """The optima of agents that see observations only; None where those tell all that an optimal policy needs.

    FruitTask, for one, does not show where fruit was eaten, and so hides the level at its end, which no longer matters.
    """
    observation = observation_numbers(world, mdp.rows)
    if not hides_state(observation) or not hides_best_action(observation, solution.optimal_actions):
        return None
    try:
        best = memoryless_optimum(mdp, observation, discount=discount)
    except UserError as error:
        return ObservedOptimum(None, None, str(error))
    return ObservedOptimum(best.with_memory, best.value)


def search_optimum(env_id: str, options: Mapping[str, Any], *, discount: float, seed: int) -> Optimum:
    """Mean return of plans from fresh resets; `envs.planning` says when the shortest plan is the best one.

    The resets come from a stream of their own, so that they are none of those that were imitated under the same seed.
    """
    own_seed = derive_seed(seed, "optimum")
    try:
        plans = search_demonstrations(
            env_id, num_episodes=NUM_SEARCHED, seed=own_seed, max_nodes=MAX_NODES, discount=discount, options=options
        )
    except UserError as error:
        return Optimum(None, None, f"not known: {cause(error)}")
    if pays_before_the_end(plans):
        return Optimum(None, None, f"not known: {env_id} pays before the end, so the shortest plan is not the best one")
    words = f"shortest plans found by search from {NUM_SEARCHED} fresh resets"
    discounted = float(episode_returns(plans, discount=discount).mean())
    return Optimum(discounted, float(episode_returns(plans).mean()), words)
