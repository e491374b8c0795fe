"""Encoders E by name, and the heads of D: a policy and a baseline.

An encoder maps the canonical matrix of observations to features. One with memory also maps its memory to the next
one; the others give None. The memory of an environment is zeroed where an episode starts.
Shape key: T time, B batch, I inputs, D features, M memory, A actions, P planes, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.config import AgentConfig
from agents.inputs import Inputs, as_matrix, first_layer
from agents.observations import ObservationSpec
from agents.recurrence import unroll_recurrence
from agents.seeding import init_module, untouched_global_generator
from envs.errors import UserError, nearest

POOL_ABOVE = 32


class Encoder(nn.Module):
    """Base of every encoder.

    Attributes:
        num_features: D.
        memory_size: M, 0 without memory.
        gains_by_active_inputs: whether it begins with a dense layer.
    """

    num_features: int
    memory_size: int = 0
    gains_by_active_inputs: bool = True

    def forward(self, inputs: Inputs, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode one step.

        Args:
            inputs: float32 [B, I], or active ones of this shape.
            memory: float32 [B, M] before the step, already zeroed where an episode starts; None counts as zeros.

        Returns:
            features float32 [B, D], and the memory after the step (None without memory).
        """
        raise NotImplementedError

    def unroll(self, inputs: Inputs, memory: Tensor | None, starts: Tensor) -> tuple[Tensor, Tensor | None]:
        """Encode T steps: the same features as T calls of ``forward`` with the memory zeroed at starts.

        Args:
            inputs: float32 [T, B, I], or active ones of this shape.
            memory: float32 [B, M] before the first step; None counts as zeros.
            starts: bool [T, B], whether the step is the first one of an episode.

        Returns:
            features float32 [T, B, D], and the memory after the last step (None without memory).
        """
        features, _ = self.forward(inputs.flatten(0, 1))
        return features.reshape(*inputs.shape[:2], -1), None

    def initial_memory(self, num_envs: int, device: torch.device | str = "cpu") -> Tensor | None:
        """Return zeros [B, M], None without memory."""
        return torch.zeros(num_envs, self.memory_size, device=device) if self.memory_size else None


class MlpEncoder(Encoder):
    """Dense rectified layers over all inputs at once: h_l = relu(W_l h_{l−1} + b_l)."""

    def __init__(self, spec: ObservationSpec, config: AgentConfig) -> None:
        """Make layers of widths ``config.encoder_sizes``."""
        super().__init__()
        self.dense = Dense(spec.num_inputs, config.encoder_sizes)
        self.num_features = config.encoder_sizes[-1]

    def forward(self, inputs: Inputs, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode (see ``Encoder.forward``)."""
        features: Tensor = self.dense(inputs)
        return features, None


class ConvEncoder(Encoder):
    """3×3 convolutions over the planes, the first one of stride 1 and the others of 2, then dense layers.

    The flat inputs join after the convolutions. Images larger than 32×32 are averaged in squares first.

    Attributes:
        map_shape: (C, H, W) after the last convolution.
    """

    gains_by_active_inputs = False

    def __init__(self, spec: ObservationSpec, config: AgentConfig) -> None:
        """Make the layers; UserError where the observation has no planes."""
        super().__init__()
        if spec.planes_shape is None:
            names = ", ".join(leaf.name for leaf in spec.leaves)
            raise UserError(f"Encoder 'conv' needs an observation with a grid, but its parts are {names}; use 'mlp'.")
        self.planes_shape = spec.planes_shape
        channels, height, width = spec.planes_shape
        self.pool = math.ceil(max(height, width) / POOL_ABOVE)
        height, width = height // self.pool, width // self.pool
        self.convolutions = nn.ModuleList()
        for index, size in enumerate(config.conv_channels):
            stride = 1 if index == 0 else 2
            self.convolutions.append(nn.Conv2d(channels, size, kernel_size=3, stride=stride, padding=1))
            channels, height, width = size, (height - 1) // stride + 1, (width - 1) // stride + 1
        self.map_shape = channels, height, width
        self.dense = Dense(channels * height * width + spec.num_flat, config.encoder_sizes)
        self.num_features = config.encoder_sizes[-1]

    def forward(self, inputs: Inputs, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode (see ``Encoder.forward``)."""
        num_planes, inputs = math.prod(self.planes_shape), as_matrix(inputs)
        hidden = inputs[:, :num_planes].reshape(-1, *self.planes_shape)
        if self.pool > 1:
            hidden = functional.avg_pool2d(hidden, self.pool)
        for convolution in self.convolutions:
            hidden = functional.relu_(convolution(hidden))
        features: Tensor = self.dense(torch.cat((hidden.flatten(1), inputs[:, num_planes:]), dim=1))
        return features, None


class GruEncoder(Encoder):
    """Dense layers, then a gated recurrent unit (Cho et al. 2014, arXiv 1406.1078) whose memory is the features.

        r = σ(W_r x + U_r h + b_r),  z = σ(W_z x + U_z h + b_z),  n = tanh(W_n x + b_n + r ∘ (U_n h + c_n)),
        h' = (1 − z) ∘ n + z ∘ h,

    with the parameters and their order as in ``torch.nn.GRUCell``.
    """

    def __init__(self, spec: ObservationSpec, config: AgentConfig) -> None:
        """Make the layers."""
        super().__init__()
        self.dense = Dense(spec.num_inputs, config.encoder_sizes)
        self.cell = nn.GRUCell(config.encoder_sizes[-1], config.memory_size)
        self.num_features = self.memory_size = config.memory_size

    def forward(self, inputs: Inputs, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode (see ``Encoder.forward``); features and memory are the same tensor."""
        gates = self._gates(inputs)
        memory = self._advance(gates, self._given(memory, gates))
        return memory, memory

    def unroll(self, inputs: Inputs, memory: Tensor | None, starts: Tensor) -> tuple[Tensor, Tensor | None]:
        """Encode T steps (see ``Encoder.unroll``); everything but the recurrence runs for all steps at once."""
        gates = self._gates(inputs.flatten(0, 1)).reshape(*inputs.shape[:2], -1)
        keep = (~starts).to(gates.dtype).unsqueeze(2)
        memory = self._given(memory, gates[0])
        history = unroll_recurrence(gates, keep, memory, weight=self.cell.weight_hh, bias=self.cell.bias_hh)
        return history, history[-1]

    def _given(self, memory: Tensor | None, gates: Tensor) -> Tensor:
        """Return the memory [B, M], zeros where there is none."""
        return gates.new_zeros(gates.shape[0], self.memory_size) if memory is None else memory

    def _gates(self, inputs: Inputs) -> Tensor:
        """Return what the inputs [N, I] say to the three gates, [N, 3M]."""
        return functional.linear(self.dense(inputs), self.cell.weight_ih, self.cell.bias_ih)

    def _advance(self, gates: Tensor, memory: Tensor) -> Tensor:
        """Return the next memory [B, M]."""
        recurrent = functional.linear(memory, self.cell.weight_hh, self.cell.bias_hh)
        reset_x, update_x, new_x = gates.chunk(3, dim=1)
        reset_h, update_h, new_h = recurrent.chunk(3, dim=1)
        candidate = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return torch.lerp(candidate, memory, torch.sigmoid(update_x + update_h))


class Dense(nn.Module):
    """Rectified dense layers: h_l = relu(W_l h_{l−1} + b_l)."""

    def __init__(self, num_inputs: int, sizes: tuple[int, ...]) -> None:
        """Make one layer for each width in ``sizes``."""
        super().__init__()
        widths = (num_inputs, *sizes)
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in zip(widths[:-1], widths[1:], strict=True))

    def forward(self, inputs: Inputs) -> Tensor:
        """Map [B, I] to [B, sizes[-1]]."""
        first, *others = (layer for layer in self.layers if isinstance(layer, nn.Linear))
        hidden = first_layer(first, inputs)
        for layer in others:
            hidden = functional.relu_(layer(hidden))
        return hidden


class PolicyHead(nn.Linear):
    """logits = W features + b. It starts almost uniform (gain .01), so that early choices come from exploration."""

    init_gain = 0.01

    def forward(self, features: Tensor) -> Tensor:
        """Return logits [..., A] of features [..., D]."""
        return super().forward(features)


class BaselineHead(nn.Linear):
    """baseline = w · features + b, the policy gradient's own baseline, which is no part of V."""

    init_gain = 1.0

    def __init__(self, num_features: int) -> None:
        """Make the layer."""
        super().__init__(num_features, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return baselines [...] of features [..., D]."""
        return super().forward(features).squeeze(-1)


ENCODERS: Mapping[str, Callable[[ObservationSpec, AgentConfig], Encoder]] = MappingProxyType(
    {"mlp": MlpEncoder, "conv": ConvEncoder, "gru": GruEncoder}
)


def build_encoder(spec: ObservationSpec, config: AgentConfig, *, generator: torch.Generator) -> Encoder:
    """Build the encoder that ``config.encoder`` names, its weights drawn from ``generator`` (a CPU one).

    Raises:
        UserError: no encoder has this name, or it cannot take these observations.
    """
    if config.encoder not in ENCODERS:
        hint = nearest(config.encoder, ENCODERS)
        raise UserError(f"Encoder {config.encoder!r} is unknown; allowed: {', '.join(ENCODERS)}.{hint}")
    with untouched_global_generator():
        encoder = ENCODERS[config.encoder](spec, config)
    init_module(encoder, generator)
    return encoder
