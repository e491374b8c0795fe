"""What a leaf is worth and what to try there: networks, tables, and the outcomes of rollouts.

Shape key: B trees, M new nodes, A actions, H memory size, X states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import AlphaAgent
from agents.fast_forward import FastForward
from agents.search.new_nodes import NewNodes
from agents.search.node_memory import NodeMemory
from envs.enumeration import TabularMDP, state_finder
from envs.rows import Observations, World

Floats = NDArray[np.float64]
Estimates = tuple[Floats, Floats]


class Evaluator(Protocol):
    """Evaluates new nodes; the first call of a search has the roots of all trees, in their order."""

    def __call__(self, new: NewNodes) -> Estimates:
        """Return prior logits float64[M, A], −inf for illegal actions, and values float64[M]."""


class NetworkEvaluator:
    """D∘E for the prior and V∘E for the value. One of these serves one search after the other, not two at once."""

    def __init__(
        self,
        agent: AlphaAgent,
        world: World,
        *,
        policy_memory: Tensor | None = None,
        value_memory: Tensor | None = None,
    ) -> None:
        """Take an agent that does not change while this is used.

        Args:
            agent: D∘E and V∘E are read.
            world: gives the observations.
            policy_memory: float32[B, H] of D's encoder before it sees the roots, for encoders with memory.
            value_memory: float32[B, H] of V's encoder before it sees the roots.
        """
        self.agent, self.world = agent, world
        self._policy = NodeMemory(agent.policy_encoder.memory_size, policy_memory)
        self._value = NodeMemory(agent.value_encoder.memory_size, value_memory)
        self._has_memory = self._policy.size > 0 or self._value.size > 0
        self._forward = FastForward(agent)

    def __call__(self, new: NewNodes) -> Estimates:
        """Evaluate (see `Evaluator`)."""
        shown = self.world.observe(new.rows)
        context = self.world.context_of(new.rows) if self.agent.value_head.needs_context else None
        if self._has_memory:
            logits, values = self._remembering(new, shown, context)
        else:
            logits, values = self._forward(shown["planes"], shown.get("vector"), context=context)
        return logits.astype(np.float64), values.astype(np.float64)

    @torch.no_grad()
    def _remembering(
        self, new: NewNodes, shown: Observations, context: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits and values of encoders with memory, which is kept for the nodes below."""
        agent, encoded = self.agent, self.agent.encode(shown)
        policy = agent.policy(encoded, self._policy.before(new))
        self._policy.keep(new, policy.memory)
        features = policy.features
        if not agent.shared:
            features, memory = agent.features_of_value(encoded, self._value.before(new))
            self._value.keep(new, memory)
        known = None if context is None else torch.from_numpy(context).to(agent.device)
        return policy.logits.cpu().numpy(), agent.value_head(features, known).value.cpu().numpy()

    def root_memories(self) -> tuple[Tensor | None, Tensor | None]:
        """What D's and V's encoders remember after they saw the roots, float32[B, H] each; None without memory."""
        stores = (self._policy.store, (self._policy if self.agent.shared else self._value).store)
        policy, value = (None if store is None else store[:, 0] for store in stores)
        return policy, value


class TableEvaluator:
    """Tables of an enumerated world; a state that is not in them is refused by name."""

    def __init__(self, mdp: TabularMDP, *, logits: Floats | None = None, values: Floats | None = None) -> None:
        """Take tables.

        Args:
            mdp: has the rows that number the states.
            logits: float64[X, A], −inf for illegal actions; None for a uniform prior.
            values: float64[X]; None for 0.
        """
        self._find = state_finder(mdp)
        self.logits = np.zeros((mdp.num_states, mdp.num_actions)) if logits is None else logits
        self.values = np.zeros(mdp.num_states) if values is None else values

    def __call__(self, new: NewNodes) -> Estimates:
        """Evaluate (see `Evaluator`)."""
        states = self._find(new.rows)
        return self.logits[states], self.values[states]


@dataclass(frozen=True)
class Legal:
    """Another evaluator's estimates where only some actions are legal."""

    evaluator: Evaluator
    legal: LegalActions

    def __call__(self, new: NewNodes) -> Estimates:
        """Evaluate (see `Evaluator`)."""
        logits, values = self.evaluator(new)
        return np.where(self.legal(new.rows), logits, -np.inf), values


class LegalActions(Protocol):
    """Says what may be done."""

    def __call__(self, rows: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Return bool[M, A] for rows int16[M, S]; at least one action of each row is legal."""
