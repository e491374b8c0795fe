"""Leaf values with the outcome of a rollout mixed in, as AlphaGo's were: (1 − λ)·v + λ·z.

Source: Silver et al. (2016), Nature 529:484, section "Searching with policy and value networks".

Shape key: B trees, M new nodes, S row size, A actions, X states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.search.batched import world_loops
from agents.search.evaluators import Estimates, Evaluator
from agents.search.new_nodes import NewNodes
from agents.search_config import SearchConfig
from envs.enumeration import TabularMDP
from envs.row_index import RowIndex
from envs.rows import World

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RolloutPolicy:
    """How leaves are played on: a table of probabilities, or uniformly where there is none or it lacks the state.

    What is legal is a matter of the table, which gives other actions no probability; uniform play takes every action.

    Attributes:
        cumulative: float64[X, A], cumulated over actions.
        index: numbers the states.
    """

    cumulative: Floats
    index: RowIndex

    @classmethod
    def uniform(cls, world: World) -> RolloutPolicy:
        """Every action alike, everywhere."""
        return cls(np.zeros((0, world.num_actions)), RowIndex(world.row_size))

    @classmethod
    def table(cls, mdp: TabularMDP, probs: Floats) -> RolloutPolicy:
        """Probabilities float64[X, A] of an enumerated world's states."""
        return cls(np.cumsum(probs, axis=1), RowIndex.of(mdp.rows))


class RolloutEvaluator:
    """Another evaluator's estimates, with λ of each value replaced by the discounted outcome of one rollout."""

    def __init__(
        self, evaluator: Evaluator, world: World, policy: RolloutPolicy, *, config: SearchConfig, discount: float,
        keys: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Take an evaluator, and how to play on.

        Args:
            evaluator: gives prior logits, and values v.
            world: is played.
            policy: by which it is played.
            config: `rollout_share` λ, and `rollout_limit` steps at most, after which nothing counts.
            discount: γ.
            keys: int64[B] ≥ 0, one per tree, of the rollouts' chance and actions; none of the world's own draws.
        """
        self.evaluator, self.world, self.policy = evaluator, world, policy
        self.config, self.discount, self.keys = config, discount, keys

    def __call__(self, new: NewNodes) -> Estimates:
        """Evaluate (see `Evaluator`)."""
        logits, values = self.evaluator(new)
        share = self.config.rollout_share
        return logits, (1.0 - share) * values + share * self.outcomes(new)

    def outcomes(self, new: NewNodes) -> Floats:
        """Discounted outcomes float64[M] of one rollout from each new node."""
        world, played = self.world, np.zeros(len(new.rows))
        length = self.config.rollout_limit
        kernel = (world.kernel_config, world.reward_weights, self.discount, world.num_actions, length)
        scratch = (np.zeros(max(world.num_channels, 1)), np.zeros(len(world.component_names)))
        policy = (self.policy.cumulative, *self.policy.index.arrays)
        keys = (self.keys[new.trees], new.nodes)
        world_loops(world.module)["play_out"](kernel, scratch, policy, np.array(new.rows, np.int16), keys, played)
        return played
