"""What an agent does and is worth in a world that can be enumerated, computed without playing.

Shape key: S states, A actions, N rows, R row size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from agents.actors import mixed_probs
from agents.agent import AlphaAgent
from agents.losses import relative_error
from agents.returns import Floats
from agents.streams import require_finite
from envs.errors import UserError
from envs.rows import World
from envs.tabular import TabularMDP, enumerate_world, occupancy, policy_evaluation

Rows = NDArray[np.int16]
BATCH = 8192


@torch.no_grad()
def policy_table(
    agent: AlphaAgent, world: World, rows: Rows, *, uniform_share: float = 0.0, greedy: bool = False
) -> Floats:
    """(1 − u)·D(a|s) + u/A for every row.

    Args:
        agent: D∘E is read.
        world: gives the observations of rows.
        rows: int16[N, R].
        uniform_share: u in [0, 1].
        greedy: D takes its most probable action.

    Returns:
        float64[N, A], rows sum to 1.

    Raises:
        UserError: D has a memory, so that its policy is no function of the state.
        NonFiniteError: logits are NaN or infinite.
    """
    _refuse_memory(agent.policy_encoder.memory_size, "D")
    parts = [agent.policy_logits(world.observe(part)).double().cpu().numpy() for part in _batches(rows)]
    logits = np.concatenate(parts)
    require_finite("policy logits", logits)
    return mixed_probs(logits, uniform_share=uniform_share, greedy=greedy)


@torch.no_grad()
def value_table(agent: AlphaAgent, world: World, rows: Rows, *, as_first: bool = False) -> Floats:
    """V(s) for every row.

    Args:
        agent: V∘E is read.
        world: gives the observations and contexts of rows.
        rows: int16[N, R].
        as_first: read each state as the first of an episode, where V's encoder has a memory.

    Returns:
        float64[N].

    Raises:
        UserError: V's encoder has a memory, so that V is no function of the state, and `as_first` is not given.
    """
    if not as_first:
        _refuse_memory(agent.value_encoder.memory_size, "V")
    parts = []
    for part in _batches(rows):
        context = torch.from_numpy(world.context_of(part)).to(agent.device)
        parts.append(agent.value(world.observe(part), context=context).value.double().cpu().numpy())
    return np.concatenate(parts)


@dataclass(frozen=True)
class ValueAccuracy:
    """How far V is from the exact value of the policy whose outcomes it learned from.

    Attributes:
        relative_error: RMS(V − V^π)/sd(V^π), both under the policy's occupancy of states.
        num_states: S.
    """

    relative_error: float
    num_states: int

    @property
    def words(self) -> str:
        """The measure as a sentence."""
        return (
            f"V is within {self.relative_error:.2f} sd of the exact value of the policy that it learned from: "
            f"RMS(V - V^pi)/sd(V^pi) under that policy's visits to {self.num_states} states of training levels."
        )


def value_accuracy(
    agent: AlphaAgent, world: World, mdp: TabularMDP, *, uniform_share: float = 0.0, discount: float | None = None
) -> ValueAccuracy:
    """Compare V with V^π, π = (1 − u)·D + u/A, weighting states by how often π visits them before the time limit.

    Args:
        agent: D and V are read.
        world: the world of the table.
        mdp: the world's own table of the levels in question.
        uniform_share: u.
        discount: γ of V^π; None for the one that V was trained with, and for the world's own where V is untrained.

    V^π knows no time limit: targets bootstrap where the limit cuts an episode.
    """
    policy = policy_table(agent, world, mdp.rows, uniform_share=uniform_share)
    visits = occupancy(mdp, policy, horizon=world.time_limit)
    exact = policy_evaluation(mdp, policy, discount=agent.value_discount if discount is None else discount)
    return ValueAccuracy(relative_error(value_table(agent, world, mdp.rows), exact, weight=visits), len(mdp.rows))


def accuracy_on_training_levels(agent: AlphaAgent, world: World, *, uniform_share: float) -> ValueAccuracy | None:
    """`value_accuracy` on all training levels; None where these cannot be solved, or D or V has a memory.

    Args:
        agent: D and V are read.
        world: the world that V was trained in.
        uniform_share: of random actions in the play that V learned from.

    None as well where V^π is the same everywhere. Under a shared E, D is not to the last bit the policy that played.
    """
    if agent.policy_encoder.memory_size or agent.value_encoder.memory_size:
        return None
    try:
        mdp = enumerate_world(world, world.levels("train"))
        found = value_accuracy(agent, world, mdp, uniform_share=uniform_share)
    except UserError:
        return None
    return found if np.isfinite(found.relative_error) else None


def _batches(rows: Rows) -> list[Rows]:
    return np.array_split(rows, max(1, -(-len(rows) // BATCH)))


def _refuse_memory(memory_size: int, what: str) -> None:
    if memory_size:
        raise UserError(f"{what} has a memory of {memory_size} numbers, so it is no function of the state; use 'mlp'.")
