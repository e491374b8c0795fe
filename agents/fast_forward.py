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

from agents.active_inputs import ActiveFinder
from agents.agent import AlphaAgent
from agents.networks import MlpEncoder
from shards.monolith import Monolith

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
        is_native = [leaf.name for leaf in agent.spec.leaves] in (["planes"], ["planes", "vector"])
        self.is_fast = is_native and self._finder.applies and len(dense) == len(encoders)
        if self.is_fast:
            self._take_weights([[layer for layer in layers if isinstance(layer, nn.Linear)] for layers in dense])

    @torch.no_grad()
    def _take_weights(self, networks: Sequence[Sequence[nn.Linear]]) -> None:
        base = self._finder.base
        self._weight = torch.cat([layers[0].weight for layers in networks]).t().contiguous()
        self._start = torch.cat([torch.addmv(layers[0].bias, layers[0].weight, base) for layers in networks])
        self._others = [[_Product(layer.weight, layer.bias) for layer in layers[1:]] for layers in networks]
        self._widths = [layers[0].out_features for layers in networks]
        policy, head = self.agent.policy_head, self.agent.value_head
        self._policy = _Product(policy.weight, policy.bias)
        self._value = _HiddenLayer(head) if isinstance(head, Monolith) and not head.parts.deeper_weight else None

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
        known = None if context is None else torch.from_numpy(context).to(self.agent.device)
        vector = np.empty((len(planes), 0), np.float32) if vector is None else vector
        hidden = None
        if self.is_fast:
            hidden = self._finder.sum_columns(planes, vector, weight=self._weight, start=self._start)
        if hidden is None:
            return self._by_modules(planes, vector, known)
        parts = torch.split(hidden, self._widths, dim=1) if len(self._widths) > 1 else (hidden,)
        features = [_through(layers, part) for layers, part in zip(self._others, parts, strict=True)]
        logits = self._policy(features[0])
        if self._value is None:
            return logits.numpy(), self.agent.value_head(features[-1], known).value.numpy()
        return logits.numpy(), self._value(features[-1]).numpy()

    def _by_modules(
        self, planes: NDArray[np.uint8], vector: NDArray[np.float32], context: Tensor | None
    ) -> tuple[Logits, Values]:
        shown: dict[str, Any] = {"planes": planes}
        if vector.shape[1] > 0:
            shown["vector"] = vector
        encoded = self.agent.encode(shown)
        output = self.agent.policy(encoded)
        features = output.features if self.agent.shared else self.agent.features_of_value(encoded)[0]
        return output.logits.cpu().numpy(), self.agent.value_head(features, context).value.cpu().numpy()


class _Product:
    """W x + b; a weight that is transposed once makes the product of a small batch a fifth faster."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight.detach().t().contiguous(), bias.detach()

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.addmm(self.bias, inputs, self.weight)


class _HiddenLayer:
    """The value of a monolith of one hidden layer, without what `ValueEstimate` keeps for inspection."""

    def __init__(self, head: Monolith) -> None:
        parts = head.parts
        self.hidden = _Product(parts.input_weight[0], parts.input_bias[0])
        self.weight, self.bias = parts.output_weight[0].detach(), head.bias.detach()

    def __call__(self, features: Tensor) -> Tensor:
        return torch.addmv(self.bias, self.hidden(features).relu_(), self.weight)


def _through(layers: Sequence[_Product], hidden: Tensor) -> Tensor:
    for layer in layers:
        hidden = layer(hidden).relu_()
    return hidden
