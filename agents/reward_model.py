"""A learned reward r̂∘E: what each action pays, regressed on the rewards of recorded episodes.

    r̂(o, a) = (W E(o) + b)_a,    loss = mean over steps of (r̂(o_t, a_t) − r_t)².

Where it is known what a step brought, in amounts x_t ∈ R^K, the outputs can be the worth of a unit of each instead:
r̂(o, x) = Σ_k x_k (W E(o) + b)_k. An action is the case K = A with x one-hot.

E is an encoder of its own, built as the agent's and trained with W. What an action pays that was never taken at an
observation is whatever the regression makes of it: nothing is known there.

Shape key: n steps, b steps in a minibatch, B batch, D features, M memory, A actions, K outputs.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.agent import AlphaAgent, value_encoder_for
from agents.batches import features_of, minibatches
from agents.config import ValueConfig
from agents.encoded import EncodedEpisodes, encode_episodes
from agents.networks import Encoder
from agents.optimization import FlatAdam, annealed
from agents.seeding import init_module, torch_generator, untouched_global_generator
from envs.episodes import Episodes


class RewardModel(nn.Module):
    """r̂∘E over an agent's encoding of observations.

    Attributes:
        encoder: E.
        head: D features to K outputs, the rewards of A actions unless amounts were given.
    """

    def __init__(self, encoder: Encoder, num_outputs: int, *, seed: int) -> None:
        """Take an encoder, and draw the head from the stream "reward head" of the seed."""
        super().__init__()
        self.encoder = encoder
        with untouched_global_generator():
            self.head = nn.Linear(encoder.num_features, num_outputs)
        init_module(self.head, torch_generator(seed, "reward head"))

    def forward(self, inputs: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Outputs float32[B, K] of encoded inputs [B, I], and the memory [B, M] after the step (None without)."""
        features, memory = self.encoder(inputs, memory)
        return self.head(features), memory


def fit_rewards(
    agent: AlphaAgent,
    data: Episodes,
    config: ValueConfig,
    *,
    seed: int,
    encoded: EncodedEpisodes | None = None,
    amounts: NDArray[np.float64] | None = None,
) -> tuple[RewardModel, dict[str, Any]]:
    """Train r̂∘E on recorded episodes.

    Args:
        agent: gives the encoding, the kind of encoder and its initial weights; left as it is.
        data: episodes with observations.
        config: num_updates, batch_size, learning_rate, anneal, max_grad_norm and sequence_length are read.
        seed: of the head's weights and of the minibatches' order.
        encoded: `encode_episodes` of the data, where it is at hand.
        amounts: float64[n, K], what each step brought; None for the action that it took, one-hot.

    Returns:
        The model, and step, loss (mean of the last tenth) and variance of the rewards.

    Raises:
        NonFiniteError: an observation, a loss or a gradient is NaN or infinite.
    """
    data_in = encoded or encode_episodes(agent, data)
    encoder = copy.deepcopy(value_encoder_for(agent, "scratch"))
    brought = np.eye(agent.num_actions)[data.actions] if amounts is None else amounts
    model = RewardModel(encoder, brought.shape[1], seed=seed).to(agent.device)
    counted = torch.from_numpy(brought).to(agent.device, torch.float32)
    rewards = torch.from_numpy(data.rewards).to(agent.device, torch.float32)
    optimizer = FlatAdam(model.parameters(), max_grad_norm=config.max_grad_norm)
    batches = minibatches(
        data_in, batch_size=config.batch_size, generator=torch_generator(seed, "reward model", "minibatches"),
        whole_episodes=encoder.memory_size > 0,
    )  # fmt: skip
    losses = []
    for step, batch in enumerate(itertools.islice(batches, config.num_updates)):
        features = features_of(encoder, data_in, batch, sequence_length=config.sequence_length)
        said = (model.head(features) * counted[batch.steps]).sum(dim=1)
        loss = (said - rewards[batch.steps]).square().mean()
        rate = annealed(config.learning_rate, step=step, num_steps=config.num_updates, anneal=config.anneal)
        losses.append(optimizer.step(loss, learning_rate=rate, site="reward model")[0])
    optimizer.release()
    last = losses[-max(1, len(losses) // 10) :]
    return model, {"step": len(losses), "loss": float(np.mean(last)), "variance": float(data.rewards.var())}


def reward_model_from(agent: AlphaAgent, tensors: Mapping[str, Tensor]) -> RewardModel:
    """The model by action whose `state_dict` is given, over the encoding of the agent that it was trained with."""
    model = RewardModel(copy.deepcopy(value_encoder_for(agent, "scratch")), agent.num_actions, seed=agent.seed)
    model.load_state_dict(dict(tensors))
    return model.to(agent.device)
