"""Network inputs of which few differ from a base row: a dense first layer then adds up few columns of its weights.

Planes of a grid world are bytes that are alike in nearly all states. Let c be the centre of the inputs, m the whole
numbers nearest to it, and i_k the columns where an observation differs from m, by v_k:

    x = (m − c) + Σ_k v_k e_{i_k},    W x + b = (W (m − c) + b) + Σ_k v_k W[:, i_k].

Values and gradients are those of the full product up to the order of summation, whatever m is; one that is close to all
rows makes the sums short. The order is that of the rows and their columns, so equal inputs give equal bits. It pays for
large batches and for weights that stay; and in minibatches of 256 recorded steps where weights lie column by column
(`agents.optimization.FlatAdam`), so that none need be turned.

Shape key: Q rows of a table, I input width, L bytes of the planes, F flat numbers, E entries, B batch, D features.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.column_kernels import find_entries, gather_entries, gather_offsets, spread_rows, sum_differences, sum_rows
from agents.encoding import ObservationEncoder
from agents.inputs import CompactInputs

MAX_SHARE = 0.125
"""Above this share of entries a dense product is about as fast, and a row is taken whole."""


@dataclass(frozen=True, eq=False)
class ActiveInputs(CompactInputs):
    """Rows in compressed sparse form, on the CPU.

    Attributes:
        base: float32[I], m − c.
        columns: int32[E], ascending within a row.
        values: float32[E].
        offsets: int64[Q + 1], row q has the entries offsets[q] .. offsets[q + 1].
        index: int64[...], which row stands at each place.
    """

    base: Tensor
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    offsets: NDArray[np.int64]
    index: Tensor

    @property
    def num_inputs(self) -> int:
        """I."""
        return len(self.base)

    def matrix(self) -> Tensor:
        """Whole rows float32[..., I]."""
        rows = self.base.repeat(len(self.offsets) - 1, 1)
        number = np.repeat(np.arange(len(rows)), np.diff(self.offsets))
        rows[torch.from_numpy(number), torch.from_numpy(self.columns).long()] += torch.from_numpy(self.values)
        return rows[self.index]

    def first_layer(self, layer: nn.Linear) -> Tensor:
        """relu(W x + b), the columns of W added up."""
        hidden: Tensor = _SumColumns.apply(layer.weight, layer.bias, self)  # type: ignore[no-untyped-call]
        return hidden

    def gathered(self, index: Tensor) -> ActiveInputs:
        """Rows int64[...] of the table with entries of their own: read several times, and far apart in a large one."""
        rows = index.flatten().numpy()
        offsets = np.empty(len(rows) + 1, np.int64)
        gather_offsets(rows, self.offsets, offsets)
        columns, values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
        gather_entries((rows, self.columns, self.values, self.offsets), (offsets, columns, values))
        return ActiveInputs(self.base, columns, values, offsets, torch.arange(len(rows)).view(index.shape))

    def _at(self, index: Tensor) -> ActiveInputs:
        return dataclasses.replace(self, index=index)


def sum_columns(weight: Tensor, start: Tensor, inputs: ActiveInputs) -> Tensor:
    """relu(start + Σ_k v_k weight[i_k]), float32[B, D], of weight [I, D] and start [D], without a gradient."""
    out = torch.empty(len(inputs), weight.shape[1])
    sum_rows(_entries(inputs), weight.detach().numpy(), start.detach().numpy(), out.numpy())
    return out


def first_hidden(weight: Tensor, bias: Tensor, inputs: ActiveInputs) -> Tensor:
    """relu(W x + b), float32[B, D], of W [D, I] and b [D], without a gradient; a W by columns is not copied."""
    return sum_columns(weight.t().contiguous(), torch.addmv(bias, weight, inputs.base), inputs)


def _entries(inputs: ActiveInputs) -> tuple[NDArray[Any], ...]:
    return inputs.index.numpy(), inputs.columns, inputs.values, inputs.offsets


class _SumColumns(torch.autograd.Function):
    """`ActiveInputs.first_layer` of W and b, with a gradient to them."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, *rest: Any) -> Tensor:
        bias, inputs = rest
        ctx.inputs, hidden = inputs, first_hidden(weight, bias, inputs)
        ctx.save_for_backward(hidden)
        return hidden

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        to_weight, to_start = spread_columns(gradients[0], ctx.saved_tensors[0], ctx.inputs)
        to_weight += ctx.inputs.base.unsqueeze(1) * to_start
        return to_weight.t(), to_start, None


def spread_columns(gradient: Tensor, hidden: Tensor, inputs: ActiveInputs) -> tuple[Tensor, Tensor]:
    """The gradients to weight [I, D] and start [D] of `sum_columns`, from that to its result `hidden` [B, D]."""
    to_weight, to_start = torch.zeros(len(inputs.base), hidden.shape[1]), torch.zeros(hidden.shape[1])
    outputs = (np.empty(hidden.shape[1], np.float32), to_start.numpy(), to_weight.numpy())
    spread_rows(_entries(inputs), gradient.contiguous().numpy(), hidden.detach().numpy(), outputs)
    return to_weight, to_start


class ActiveFinder:
    """Finds what differs from the base in observations that are bytes on a grid and flat numbers, passed as they are.

    The base is that of the encoder's centre when the finder was made.
    """

    def __init__(self, encoder: ObservationEncoder) -> None:
        """Take the description and the centre of the inputs."""
        self.spec = encoder.spec
        grid, *flat = self.spec.leaves
        self._grid, self._flat, split = grid, tuple(flat), grid.num_columns
        is_plain = not any(leaf.groups for leaf in self.spec.leaves) and len(grid.shape) == 3 and grid.grid is not None
        is_plain = is_plain and not grid.channels_last and all(leaf.grid is None for leaf in flat)
        self.applies = is_plain and encoder.centre.device.type == "cpu"
        centre = encoder.centre.cpu().numpy()
        nearest = np.rint(centre)
        np.clip(nearest[:split], 0, 255, out=nearest[:split])
        self.base = torch.from_numpy(nearest - centre)
        self._planes, self._numbers = nearest[:split].astype(np.uint8), nearest[split:]

    def __call__(self, observations: Any) -> ActiveInputs | None:
        """The observations [..., ...] as active inputs; None where they are no such bytes, or too many differ."""
        if not self.applies:
            return None
        arrays = self.spec.select(observations)
        planes = arrays[self._grid.name]
        if not isinstance(planes, np.ndarray) or planes.dtype != np.uint8 or planes.shape[-3:] != self._grid.shape:
            return None
        lead = planes.shape[:-3]
        planes = np.ascontiguousarray(planes).reshape(-1)
        numbers = self._numbers_of(arrays, lead)
        return None if numbers is None else self._find(planes, numbers, lead)

    def sum_columns(
        self, planes: NDArray[np.uint8], numbers: NDArray[np.float32], *, weight: Tensor, start: Tensor
    ) -> Tensor | None:
        """`sum_columns` of observations that are looked at once, for which no entries are kept.

        Args:
            planes: uint8[B, P, H, W].
            numbers: float32[B, F], all flat numbers.
            weight: float32[I, D].
            start: float32[D].

        Returns:
            float32[B, D]; None where the observations are no such bytes or numbers, or where too many differ.
        """
        shapes = ((len(planes), *self._grid.shape), (len(planes), len(self._numbers)))
        taken = self.applies and planes.dtype == np.uint8 and numbers.dtype == np.float32
        if not taken or (planes.shape, numbers.shape) != shapes:
            return None
        scratch, out = self._room(len(planes)), np.empty((len(planes), len(start)), np.float32)
        shown = (np.ascontiguousarray(planes).reshape(-1), self._planes)
        flat = (np.ascontiguousarray(numbers), self._numbers)
        done = sum_differences(shown, flat, scratch, weight.numpy(), start.numpy(), out)
        return torch.from_numpy(out) if done else None

    def _numbers_of(self, arrays: dict[str, Any], lead: tuple[int, ...]) -> NDArray[np.float32] | None:
        """The flat numbers float32[Q, F] of all parts side by side; None where one cannot be taken."""
        parts = [np.asarray(arrays[leaf.name]) for leaf in self._flat]
        if any(part.shape != (*lead, *leaf.shape) for part, leaf in zip(parts, self._flat, strict=True)):
            return None
        numbers = np.empty((math.prod(lead), len(self._numbers)), np.float32)
        if parts:
            np.concatenate([part.reshape(len(numbers), -1) for part in parts], axis=1, out=numbers, casting="same_kind")
        return numbers if np.isfinite(numbers).all() else None

    def _find(
        self, planes: NDArray[np.uint8], numbers: NDArray[np.float32], lead: tuple[int, ...]
    ) -> ActiveInputs | None:
        """Compare with the base."""
        columns, values = self._room(len(numbers))
        offsets = np.empty(len(numbers) + 1, np.int64)
        count = find_entries((planes, self._planes), (numbers, self._numbers), (offsets, columns, values))
        if count < 0:
            return None
        index = torch.arange(len(numbers)).reshape(lead)
        return ActiveInputs(self.base, columns[:count], values[:count], offsets, index)

    def _room(self, num_rows: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Room for the columns and values of as many entries as are worthwhile."""
        size = int(MAX_SHARE * len(self.base) * num_rows) + len(self.base)
        return np.empty(size, np.int32), np.empty(size, np.float32)
