"""V₁: what an agent does that looks one step ahead with V.

Shape key: N envs, B of them that act, A actions, O outcomes, S row size, M memory.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import AlphaAgent
from agents.memory import zeroed
from agents.reward_model import RewardModel
from agents.streams import EnvStream, Flags, Floats, Indices, require_finite
from envs.errors import UserError
from envs.rows import World


class ValueActor:
    """V₁: argmax_a Σ_o p(o|s,a)·(r_o + γ·V(s_o)), V = 0 after termination; the lowest action among equals.

    With a reward model r̂(s, a) stands in place of r_o.

    Outcomes and their probabilities come from the world's own kernel. The time limit is the engine's and is not seen.
    """

    def __init__(
        self, agent: AlphaAgent, world: World, *, discount: float | None = None, reward_model: RewardModel | None = None
    ) -> None:
        """Take an agent and a world with a kernel.

        Args:
            agent: V∘E is read.
            world: gives the outcomes.
            discount: γ; None for the one that V was trained with, and for the world's own where V is untrained.
            reward_model: whose rewards count in place of the world's.
        """
        self.agent, self.world, self.reward_model = agent, world, reward_model
        known = (discount, agent.value_discount, world.discount)
        self.discount = next(gamma for gamma in known if gamma is not None)
        self.memory: Tensor | None = None
        self.reward_memory: Tensor | None = None

    def act(self, stream: EnvStream, needed: Flags) -> tuple[Indices, NDArray[np.float32]]:
        """Choose (see `agents.rollout.Actor`); raises NonFiniteError for values that are NaN or infinite."""
        envs, rows = np.flatnonzero(needed), stream.rows()
        if rows is None:
            raise UserError("V1 looks ahead with a world's kernel, which this env has not; use actor D.")
        actions = np.zeros(stream.num_envs, np.int64)
        if len(envs) == 0:
            return actions, np.zeros(stream.num_envs, np.float32)
        memory, paid = self._remember(stream, envs), self._predict(stream, envs)
        lookahead = action_values(
            self.agent, self.world, rows[envs], discount=self.discount, memory=memory, rewards=paid
        )
        require_finite("one-step value", lookahead, step=stream.num_steps, envs=envs)
        actions[envs] = lookahead.argmax(axis=1)
        return actions, np.zeros(stream.num_envs, np.float32)

    @torch.no_grad()
    def _remember(self, stream: EnvStream, envs: Indices) -> Tensor | None:
        memory = zeroed(self.memory, stream, size=self.agent.value_encoder.memory_size, device=self.agent.device)
        if memory is not None:
            _, after = self.agent.features_of_value(stream.shown_by(envs), memory[envs])
            assert after is not None
            memory[envs] = after
        self.memory = memory
        return None if memory is None else memory[envs]

    @torch.no_grad()
    def _predict(self, stream: EnvStream, envs: Indices) -> Floats | None:
        """What the model says that each action pays, float64[B, A]."""
        model = self.reward_model
        if model is None:
            return None
        memory = zeroed(self.reward_memory, stream, size=model.encoder.memory_size, device=self.agent.device)
        before = None if memory is None else memory[envs]
        said, after = model(self.agent.encode(stream.shown_by(envs)).inputs, before)
        if memory is not None and after is not None:
            memory[envs] = after
        self.reward_memory = memory
        paid: Floats = said.double().cpu().numpy()
        return paid


@torch.no_grad()
def action_values(
    agent: AlphaAgent,
    world: World,
    rows: NDArray[np.int16],
    *,
    discount: float,
    memory: Tensor | None = None,
    rewards: Floats | None = None,
) -> Floats:
    """Q₁(s, a) = Σ_o p(o|s,a)·(r_o + γ·V(s_o)) with V = 0 after termination.

    Args:
        agent: V∘E is read.
        world: gives outcomes, rewards and observations.
        rows: int16[N, S].
        discount: γ.
        memory: float32[N, M] of V's encoder after these states, for encoders with memory.
        rewards: float64[N, A], what actions pay, in place of the world's r_o.

    Returns:
        float64[N, A].
    """
    outcomes = world.expand(rows)
    alive = (outcomes.probability > 0) & ~outcomes.terminated
    values = np.zeros(alive.shape)
    # Where all episodes end with this step, as those of one length do together, there is nothing to ask V.
    if alive.any():
        parents = np.nonzero(alive)[0]
        values[alive] = _values_of(agent, world, outcomes.next_rows[alive], memory=memory, parents=parents)
    paid = outcomes.components @ world.reward_weights if rewards is None else rewards[:, :, None]
    lookahead: Floats = (outcomes.probability * (paid + discount * values)).sum(axis=2)
    return lookahead


def _values_of(
    agent: AlphaAgent, world: World, rows: NDArray[np.int16], *, memory: Tensor | None, parents: Indices
) -> Floats:
    """V float64[M] of rows int16[M, S]; `memory` float32[N, M] is that of the states they come from, `parents`."""
    context = torch.from_numpy(world.context_of(rows)).to(agent.device) if agent.value_head.needs_context else None
    before = None if memory is None else memory[parents]
    values: Floats = agent.value(world.observe(rows), before, context=context).value.double().cpu().numpy()
    return values
