"""A matrix of network inputs kept small: bytes where the numbers are bytes, and without the columns that never vary.

A grid world's walls and its cells that nothing ever enters are columns with one value throughout. They add a constant
to the first layer, which is worked out once for a whole minibatch:

    W x + b = W_v x_v + (W c + b),    x_v the varying columns, c the constant ones (0 at varying columns).

Values and gradients are those of the full product, up to the order of summation.

Shape key: Q rows, I input width, J varying columns, B batch, D features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.agent import AlphaAgent
from agents.networks import Encoder, MlpEncoder

CHUNK = 8192
WORTHWHILE = 0.8


@dataclass(frozen=True, eq=False)
class InputTable:
    """Rows of inputs.

    Attributes:
        stored: uint8 or float32[Q, J], the varying columns.
        varying: int64[J], which columns they are; None where all are stored.
        background: float32[I], the constant columns, 0 at the varying ones; None where all are stored.
    """

    stored: Tensor
    varying: Tensor | None = None
    background: Tensor | None = None

    def __len__(self) -> int:
        """Q."""
        return len(self.stored)

    def rows(self, index: Tensor) -> Tensor:
        """Whole rows float32[..., I] of an index of any shape."""
        picked = self._picked(index.flatten())
        if self.varying is not None and self.background is not None:
            whole = self.background.repeat(len(picked), 1)
            whole[:, self.varying] = picked
            picked = whole
        return picked.reshape(*index.shape, picked.shape[1])

    def features(self, encoder: Encoder, index: Tensor) -> Tensor:
        """Features float32[B, D] of rows int64[B], of an encoder without memory."""
        if self.varying is None or self.background is None or not isinstance(encoder, MlpEncoder):
            features: Tensor = encoder(self.rows(index))[0]
            return features
        first, *others = (layer for layer in encoder.dense.layers if isinstance(layer, nn.Linear))
        bias = torch.addmv(first.bias, first.weight, self.background)
        hidden = functional.linear(self._picked(index), first.weight.index_select(1, self.varying), bias).relu_()
        for layer in others:
            hidden = functional.linear(hidden, layer.weight, layer.bias).relu_()
        return hidden

    def chunks(self) -> Iterator[Tensor]:
        """All row numbers in order, a few thousand at a time."""
        yield from torch.split(torch.arange(len(self), device=self.stored.device), CHUNK)

    def _picked(self, index: Tensor) -> Tensor:
        picked = self.stored.index_select(0, index)
        return picked if picked.dtype == torch.float32 else picked.to(torch.float32)


def build_table(agent: AlphaAgent, observations: dict[str, Any], num_rows: int) -> InputTable:
    """Encode observations [Q, ...].

    Args:
        agent: gives the encoding and the device.
        observations: arrays by name.
        num_rows: Q ≥ 1.

    Raises:
        UserError: the observations are not what the agent takes.
        NonFiniteError: an observation is NaN or infinite.
    """
    parts: list[Tensor] = []
    for start in range(0, num_rows, CHUNK):
        piece = {name: array[start : start + CHUNK] for name, array in observations.items()}
        matrix = agent.encode(piece).matrix
        as_bytes = matrix.to(torch.uint8)
        parts.append(as_bytes if torch.equal(as_bytes.to(torch.float32), matrix) else matrix)
    if any(part.dtype == torch.float32 for part in parts):
        parts = [part.to(torch.float32) for part in parts]
    matrix = torch.cat(parts)
    varies = (matrix != matrix[0]).any(dim=0)
    if num_rows == 1 or varies.float().mean() > WORTHWHILE:
        return InputTable(matrix)
    background = torch.where(varies, 0.0, matrix[0].to(torch.float32))
    varying = varies.nonzero()[:, 0]
    return InputTable(matrix.index_select(1, varying), varying, background)
