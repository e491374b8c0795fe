"""A matrix of network inputs kept small: bytes where the numbers are bytes, and without the columns that never vary.

Inputs are bytes less their centre, and a grid world's walls, or cells that nothing ever enters, are columns with one
value throughout. What all rows share is a constant of the first layer, worked out once for a whole minibatch:

    W x + b = W_v y + (W c + b),    x = c + y at the varying columns v, x = c at the others.

Values and gradients are those of the full product, up to the order of summation.

Shape key: Q rows, I input width, J varying columns, B batch, D features.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.active_inputs import MAX_SHARE, ActiveInputs
from agents.agent import AlphaAgent
from agents.encoding import CHUNK
from agents.inputs import CompactInputs
from agents.networks import Encoder

WORTHWHILE = 0.8
SAMPLE = 4096
"""About as many rows say which number of a column is the commonest."""


@dataclass(frozen=True, eq=False)
class InputTable:
    """Rows of inputs: base + stored at the columns that vary, base at the others.

    Attributes:
        stored: uint8 or float32[Q, J], what the varying columns hold above the base.
        base: float32[I]; None where all columns are stored as they are.
        varying: int64[J], which columns they are; None where all are.
        entries: the same rows as what differs from a base row, where encoders are to read them so (`with_entries`).
    """

    stored: Tensor
    base: Tensor | None = None
    varying: Tensor | None = None
    entries: ActiveInputs | None = None

    def __len__(self) -> int:
        """Q."""
        return len(self.stored)

    def rows(self, index: Tensor) -> Tensor:
        """Whole rows float32[..., I] of an index of any shape."""
        picked = self.stored.index_select(0, index.flatten())
        if self.base is not None:
            whole = self.base.repeat(len(picked), 1)
            if self.varying is None:
                whole += picked
            else:
                whole[:, self.varying] += picked
            picked = whole
        return picked.reshape(*index.shape, picked.shape[1])

    def chosen(self, index: Tensor) -> CompactInputs:
        """Rows [..., I] of an index of any shape, as an encoder takes them."""
        return ChosenRows(self, index) if self.entries is None else self.entries.gathered(index)

    def with_entries(self) -> InputTable:
        """The same table, whose rows encoders read as active inputs; itself where that does not pay."""
        found = self._entries
        return self if found is None else dataclasses.replace(self, entries=found)

    @functools.cached_property
    def _entries(self) -> ActiveInputs | None:
        """What differs from the commonest number of each column; None off the CPU, and where too much does."""
        if self.stored.device.type != "cpu":
            return None
        common = self.stored[:: max(1, len(self) // SAMPLE)].mode(dim=0).values
        differs = (self.stored != common).numpy()
        if differs.mean() > MAX_SHARE:
            return None
        offsets = np.concatenate([[0], np.cumsum(differs.sum(axis=1))])
        row, column = (torch.from_numpy(place) for place in np.nonzero(differs))
        values = self.stored[row, column].float() - common[column].float()
        base = torch.zeros(self.stored.shape[1]) if self.base is None else self.base.clone()
        base[slice(None) if self.varying is None else self.varying] += common
        column = column if self.varying is None else self.varying[column]
        return ActiveInputs(base, column.int().numpy(), values.numpy(), offsets, torch.arange(len(self)))

    def features(self, encoder: Encoder, index: Tensor) -> Tensor:
        """Features float32[B, D] of rows int64[B], of an encoder without memory."""
        features: Tensor = encoder(self.chosen(index))[0]
        return features

    def chunks(self) -> Iterator[Tensor]:
        """All row numbers in order, a few thousand at a time."""
        yield from torch.split(torch.arange(len(self), device=self.stored.device), CHUNK)


@dataclass(frozen=True, eq=False)
class ChosenRows(CompactInputs):
    """Some rows of an `InputTable`."""

    table: InputTable
    index: Tensor

    @property
    def num_inputs(self) -> int:
        """I."""
        table = self.table
        return table.stored.shape[1] if table.base is None else len(table.base)

    def matrix(self) -> Tensor:
        """Whole rows float32[..., I]."""
        return self.table.rows(self.index)

    def first_layer(self, layer: nn.Linear) -> Tensor:
        """relu(W x + b), with a product over the varying columns alone."""
        table = self.table
        if table.base is None:
            return functional.relu_(layer(self.matrix()))
        weight = layer.weight if table.varying is None else layer.weight.index_select(1, table.varying)
        bias = torch.addmv(layer.bias, layer.weight, table.base)
        stored = table.stored.index_select(0, self.index).to(weight.dtype)
        return functional.relu_(functional.linear(stored, weight, bias))

    def _at(self, index: Tensor) -> ChosenRows:
        return ChosenRows(self.table, index)


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
    base = -agent.observation_encoder.centre
    parts: list[Tensor] = []
    for start in range(0, num_rows, CHUNK):
        matrix = agent.encode({name: array[start : start + CHUNK] for name, array in observations.items()}).matrix
        above = (matrix - base).round_().clamp_(0, 255).to(torch.uint8)
        # Bytes are kept where they give every number back to the last bit.
        parts.append(above if torch.equal(base + above, matrix) else matrix)
    if any(part.dtype == torch.float32 for part in parts):
        parts = [part if part.dtype == torch.float32 else base + part for part in parts]
        base = torch.zeros_like(base)
    matrix = torch.cat(parts)
    varies = (matrix != matrix[0]).any(dim=0)
    if num_rows == 1 or varies.float().mean() > WORTHWHILE:
        return InputTable(matrix, base)
    varying = varies.nonzero()[:, 0]
    return InputTable(matrix.index_select(1, varying), torch.where(varies, base, base + matrix[0]), varying)
