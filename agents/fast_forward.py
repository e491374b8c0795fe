"""D's logits and V's values of many small batches, such as the leaves of a search, on weights that do not change.

Shape key: B batch, P planes, H height, W width, F flat numbers, A actions, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from agents.active_inputs import ActiveFinder, sum_columns
from agents.agent import AlphaAgent
from agents.networks import MlpEncoder

Logits = NDArray[np.float32]
Values = NDArray[np.float32]


class FastForward:
    """What an agent says of observations as `World.observe` gives them, without a gradient.

    The first layers of D∘E and V∘E stand side by side and add up columns (`agents.active_inputs`), which gives the
    agent's own numbers up to rounding. Other encoders, devices and observations go through the agent's modules; a
    memory counts as zeros there, so that a recurrent agent is better asked by `AlphaAgent.policy` and `value`.

    Attributes:
        agent: whose weights were taken, as they were when this was made.
        is_fast: whether the first layers can add up columns.
    """

    def __init__(self, agent: AlphaAgent) -> None:
        """Take the weights; make another one after training went on."""
        self.agent, self._finder = agent, ActiveFinder(agent.observation_encoder)
        encoders = [agent.policy_encoder] if agent.shared else [agent.policy_encoder, agent.value_encoder]
        dense = [list(one.dense.layers) for one in encoders if isinstance(one, MlpEncoder)]
        self.is_fast = self._finder.applies and len(dense) == len(encoders)
        if self.is_fast:
            self._take_weights([[layer for layer in layers if isinstance(layer, nn.Linear)] for layers in dense])

    @torch.no_grad()
    def _take_weights(self, networks: Sequence[Sequence[nn.Linear]]) -> None:
        base = self._finder.base
        self._weight = torch.cat([layers[0].weight for layers in networks]).t().contiguous()
        self._start = torch.cat([torch.addmv(layers[0].bias, layers[0].weight, base) for layers in networks])
        self._others = [layers[1:] for layers in networks]
        self._widths = [layers[0].out_features for layers in networks]

    @torch.inference_mode()
    def __call__(
        self,
        planes: NDArray[np.uint8],
        vector: NDArray[np.float32] | None = None,
        *,
        context: NDArray[np.int64] | None = None,
    ) -> tuple[Logits, Values]:
        """D's logits and V's values.

        Args:
            planes: uint8[B, P, H, W].
            vector: float32[B, F], None where the world has none.
            context: int64[B], for oracle heads alone.

        Returns:
            logits float32[B, A] and values float32[B].
        """
        shown: dict[str, Any] = {"planes": planes}
        if vector is not None and vector.shape[1] > 0:
            shown["vector"] = vector
        policy_features, value_features = self._features(shown)
        known = None if context is None else torch.from_numpy(context).to(self.agent.device)
        logits = self.agent.policy_head(policy_features)
        values = self.agent.value_head(value_features, known).value
        return logits.cpu().numpy(), values.cpu().numpy()

    def _features(self, shown: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """The features [B, D] that D reads, and those that V reads."""
        inputs = self._finder(shown) if self.is_fast else None
        if inputs is None:
            encoded = self.agent.encode(shown)
            features = self.agent.policy(encoded).features
            return features, features if self.agent.shared else self.agent.features_of_value(encoded)[0]
        hidden = sum_columns(self._weight, self._start, inputs)
        parts = torch.split(hidden, self._widths, dim=1)
        found = [_through(layers, part) for layers, part in zip(self._others, parts, strict=True)]
        return found[0], found[-1]


def _through(layers: Sequence[nn.Linear], hidden: Tensor) -> Tensor:
    for layer in layers:
        hidden = functional.relu_(functional.linear(hidden, layer.weight, layer.bias))
    return hidden
