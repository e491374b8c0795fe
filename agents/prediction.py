"""Prediction of the next observation, a self-supervised task beside imitation: E must know how the world moves.

    x̂_{t+1} = U relu(W φ(o_t) + w_{a_t}) + u,    error = mean_t |x̂_{t+1} − x_{t+1}|² / (mean_t |x_{t+1} − x̄|²),

φ being E's features, x the canonical inputs, and x̄ the mean next inputs. The error is 1 for a prediction of the mean
and 0 for a perfect one; copying, x̂_{t+1} = x_t, has an error of its own to be compared with.

W, w, U and u exist while the stage runs: they belong to no agent and no checkpoint, and only E keeps what it learned.

Source: an action-conditional prediction of observations, as Oh et al. (2015), arXiv 1507.08750, here as a loss on
shared features beside the main one, as the auxiliary losses of Jaderberg et al. (2017), arXiv 1611.05397. It does not
show that D or V use what E learned by it.

Shape key: n steps, b steps in a minibatch, D features, A actions, I input width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.agent import AlphaAgent
from agents.batches import Minibatch, features_of, frozen_features
from agents.encoded import EncodedEpisodes, select_episodes
from agents.encoding import CHUNK
from agents.seeding import init_module, torch_generator, untouched_global_generator
from agents.streams import Indices

HIDDEN = 128


class NextObservation(nn.Module):
    """The head, and the episodes whose observations it predicts."""

    def __init__(self, agent: AlphaAgent, data: EncodedEpisodes, actions: Tensor, *, seed: int) -> None:
        """Make the head.

        Args:
            agent: gives the sizes and the device.
            data: episodes that hold inputs, not features.
            actions: int64[n], the actions that led from each step to the next.
            seed: of the head's weights, stream "next observation".
        """
        super().__init__()
        num_inputs = agent.spec.num_inputs
        with untouched_global_generator():
            self.features = nn.Linear(agent.policy_encoder.num_features, HIDDEN)
            self.actions = nn.Embedding(agent.num_actions, HIDDEN)
            self.inputs = nn.Linear(HIDDEN, num_inputs)
        init_module(self, torch_generator(seed, "next observation"))
        self.to(agent.device)
        self._data, self._actions, self._next = data, actions, data.next_input
        self._mean, self._scale = _mean_and_scale(data, self._next)
        nn.init.zeros_(self.inputs.weight)
        self.inputs.bias.data.copy_(self._mean)

    def forward(self, features: Tensor, actions: Tensor) -> Tensor:
        """The predicted inputs float32[b, I] after features [b, D] and actions int64[b]."""
        hidden = functional.relu_(self.features(features) + self.actions(actions))
        predicted: Tensor = self.inputs(hidden)
        return predicted

    def error(self, features: Tensor, steps: Tensor) -> Tensor:
        """The error of the predictions at steps int64[b], a scalar with its graph."""
        predicted = self(features, self._actions.index_select(0, steps))
        actual = self._data.inputs.rows(self._next.index_select(0, steps))
        error: Tensor = (predicted - actual).square().sum(1).mean() / self._scale
        return error

    @torch.no_grad()
    def measure(self, agent: AlphaAgent, episodes: Indices) -> dict[str, float]:
        """The errors of prediction and of copying over some of the episodes, as entries of a record."""
        features = frozen_features(agent.policy_encoder, self._data)
        steps = torch.from_numpy(select_episodes(self._data, episodes)[1]).to(agent.device)
        predicted, copied = 0.0, 0.0
        for piece in torch.split(steps, CHUNK):
            share = len(piece) / len(steps)
            predicted += share * float(self.error(features_of(None, features, Minibatch(piece)), piece))
            copied += share * float(self._copy_error(piece))
        return {"prediction_error": predicted, "copy_error": copied}

    def _copy_error(self, steps: Tensor) -> Tensor:
        """The error of taking the present inputs for the next ones, a scalar."""
        inputs, numbers = self._data.inputs, self._data.step_input
        change = inputs.rows(self._next.index_select(0, steps)) - inputs.rows(numbers.index_select(0, steps))
        return change.square().sum(1).mean() / self._scale


def _mean_and_scale(data: EncodedEpisodes, next_input: Tensor) -> tuple[Tensor, float]:
    """The mean next inputs float32[I], and the mean squared distance from it, 1 where nothing ever differs."""
    total, count = torch.zeros(0), len(next_input)
    for rows in _pieces(data, next_input):
        total = rows.sum(0) if not len(total) else total + rows.sum(0)
    mean = total / count
    scale = sum(float((rows - mean).square().sum()) for rows in _pieces(data, next_input)) / count
    return mean.float(), scale or 1.0


def _pieces(data: EncodedEpisodes, index: Tensor) -> Iterator[Tensor]:
    for piece in torch.split(index, CHUNK):
        yield data.inputs.rows(piece).double()
