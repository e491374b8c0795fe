"""Rewards in a tree that come from a model and not from the world.

An edge (s, a) pays r̂(s, a), whichever outcome it leads to, and what has ended is worth 0. A search by such payments
knows the world's transitions and ends, and of its rewards only what the model has learned.

Shape key: B trees, N nodes, M new nodes, A actions, H memory size.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import AlphaAgent
from agents.reward_model import RewardModel
from agents.search.evaluators import Estimates
from agents.search.new_nodes import NewNodes
from agents.search.node_memory import NodeMemory
from agents.search.tree import Tree
from envs.errors import UserError
from envs.rows import World

Floats = NDArray[np.float64]


class Rewards(Protocol):
    """Says what actions pay; the first call of a search has the roots of all trees, in their order."""

    def __call__(self, new: NewNodes) -> Floats:
        """Return float64[M, A], r̂ of every action at the new nodes."""


class Payments:
    """What is paid in the trees of one search."""

    def __init__(self, rewards: Rewards, grown: Tree) -> None:
        """Take a model, and trees that have roots alone."""
        self._rewards = rewards
        self._known: Floats = np.zeros(grown.edges.shape)

    def settle(self, grown: Tree, new: NewNodes, estimates: Estimates) -> Estimates:
        """Pay for the edges that lead to new nodes, note what their actions pay, and make ends worth 0.

        Raises:
            UserError: the model's rewards have another shape.
        """
        said = self._rewards(new)
        if said.shape != (len(new.trees), self._known.shape[2]):
            raise UserError(
                f"The reward model gave rewards of shape {said.shape}; they must be "
                f"{(len(new.trees), self._known.shape[2])}, a number for each action of each new node."
            )
        self._known[new.trees, new.nodes] = said
        logits, values = estimates
        if new.parents[0] < 0:
            return logits, values
        nodes = grown.nodes[new.trees, new.nodes]
        edge = (new.trees, new.parents, nodes["action"])
        grown.reward[(*edge, nodes["outcome"])] = self._known[edge]
        return logits, np.where(nodes["terminated"], 0.0, values)


class LearnedRewards:
    """r̂∘E of a model, with its memory kept at the nodes; serves one search."""

    def __init__(self, model: RewardModel, agent: AlphaAgent, world: World, *, memory: Tensor | None = None) -> None:
        """Take a model over the agent's encoding.

        Args:
            model: r̂∘E.
            agent: gives the encoding.
            world: gives the observations.
            memory: float32[B, H] of the model's encoder before it sees the roots, for encoders with memory.
        """
        self.model, self.agent, self.world = model, agent, world
        self._memory = NodeMemory(model.encoder.memory_size, memory)

    @torch.no_grad()
    def __call__(self, new: NewNodes) -> Floats:
        """Predict (see `Rewards`)."""
        encoded = self.agent.encode(self.world.observe(new.rows))
        said, memory = self.model(encoded.inputs, self._memory.before(new))
        self._memory.keep(new, memory)
        rewards: Floats = said.double().cpu().numpy()
        return rewards

    def root_memory(self) -> Tensor | None:
        """What the encoder remembers after it saw the roots, float32[B, H]; None without memory."""
        return None if self._memory.store is None else self._memory.store[:, 0]
