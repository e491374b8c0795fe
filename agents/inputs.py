"""What an encoder takes: a matrix of inputs, or rows of a table that is kept smaller than its matrix.

Shape key: I input width, B batch, D features.
"""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional


class CompactInputs:
    """Some rows of a table that is kept smaller than its matrix; indexed as a tensor [..., I] would be.

    Attributes:
        index: int64[...], which row stands at each place.
    """

    index: Tensor

    @property
    def num_inputs(self) -> int:
        """I."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor that this stands for, [..., I]."""
        return (*self.index.shape, self.num_inputs)

    def __len__(self) -> int:
        """Size of the first axis."""
        return len(self.index)

    def __getitem__(self, chosen: Any) -> Self:
        """Choose along the axes before I."""
        return self._at(self.index[chosen])

    def flatten(self, first: int, last: int) -> Self:
        """Join the axes `first` to `last`, none of which is I."""
        return self._at(self.index.flatten(first, last))

    def index_select(self, axis: int, chosen: Tensor) -> Self:
        """Choose int64[b] along an axis that is not I."""
        return self._at(self.index.index_select(axis, chosen))

    def matrix(self) -> Tensor:
        """Whole rows float32[..., I]."""
        raise NotImplementedError

    def first_layer(self, layer: nn.Linear) -> Tensor:
        """relu(W x + b), float32[B, D], of rows [B, I]; gradients reach W and b alone."""
        raise NotImplementedError

    def _at(self, index: Tensor) -> Self:
        raise NotImplementedError


Inputs = Tensor | CompactInputs


def as_matrix(inputs: Inputs) -> Tensor:
    """Whole rows float32[..., I]."""
    return inputs if isinstance(inputs, Tensor) else inputs.matrix()


def first_layer(layer: nn.Linear, inputs: Inputs) -> Tensor:
    """relu(W x + b), float32[B, D], of rows [B, I]; gradients reach W and b alone where the inputs are compact."""
    return functional.relu_(layer(inputs)) if isinstance(inputs, Tensor) else inputs.first_layer(layer)
