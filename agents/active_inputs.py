"""Network inputs of which few differ from a base row: a dense first layer then adds up few columns of its weights.

Planes of a grid world are bytes that are alike in nearly all states. Let c be the centre of the inputs, m the whole
numbers nearest to it, and i_k the columns where an observation differs from m, by v_k:

    x = (m − c) + Σ_k v_k e_{i_k},    W x + b = (W (m − c) + b) + Σ_k v_k W[:, i_k].

Values and gradients are those of the full product up to the order of summation, whatever m is; one that is close to all
rows makes the sums short. The order is that of the rows and their columns, so equal inputs give equal bits.

Shape key: Q rows of a table, I input width, L bytes of the planes, F flat numbers, E entries, B batch, D features.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.encoding import ObservationEncoder

MAX_SHARE = 0.125
"""Above this share of entries a dense product is about as fast, and a row is taken whole."""


@dataclass(frozen=True, eq=False)
class ActiveInputs:
    """Some rows of a table in compressed sparse form, on the CPU; indexed as a tensor [..., I] would be.

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
    def shape(self) -> tuple[int, ...]:
        """Of the tensor that this stands for, [..., I]."""
        return (*self.index.shape, len(self.base))

    def __len__(self) -> int:
        """Size of the first axis."""
        return len(self.index)

    def __getitem__(self, chosen: Any) -> ActiveInputs:
        """Choose along the axes before I."""
        return dataclasses.replace(self, index=self.index[chosen])

    def flatten(self, first: int, last: int) -> ActiveInputs:
        """Join the axes `first` to `last`, none of which is I."""
        return dataclasses.replace(self, index=self.index.flatten(first, last))

    def index_select(self, axis: int, chosen: Tensor) -> ActiveInputs:
        """Choose int64[b] along an axis that is not I."""
        return dataclasses.replace(self, index=self.index.index_select(axis, chosen))


Inputs = Tensor | ActiveInputs


def as_matrix(inputs: Inputs) -> Tensor:
    """Whole rows float32[..., I]."""
    if isinstance(inputs, Tensor):
        return inputs
    rows = inputs.base.repeat(len(inputs.offsets) - 1, 1)
    number = np.repeat(np.arange(len(rows)), np.diff(inputs.offsets))
    rows[torch.from_numpy(number), torch.from_numpy(inputs.columns).long()] += torch.from_numpy(inputs.values)
    return rows[inputs.index]


def first_layer(layer: nn.Linear, inputs: Inputs) -> Tensor:
    """W x + b, float32[B, D], of rows [B, I]; gradients reach W and b alone where the inputs are active ones."""
    if isinstance(inputs, Tensor):
        product: Tensor = layer(inputs)
        return product
    start = torch.addmv(layer.bias, layer.weight, inputs.base)
    summed: Tensor = _SumColumns.apply(layer.weight.t().contiguous(), start, inputs)
    return summed


def sum_columns(weight: Tensor, start: Tensor, inputs: ActiveInputs) -> Tensor:
    """start + Σ_k v_k weight[i_k], float32[B, D], of weight float32[I, D] and start float32[D], without a gradient."""
    out = torch.empty(len(inputs), weight.shape[1])
    entries = (inputs.index.numpy(), inputs.columns, inputs.values, inputs.offsets)
    _sum_rows(*entries, weight.detach().numpy(), start.detach().numpy(), out.numpy())
    return out


class _SumColumns(torch.autograd.Function):
    """`sum_columns` with a gradient to weight and start."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, start: Tensor, inputs: ActiveInputs) -> Tensor:
        ctx.inputs, ctx.shape = inputs, weight.shape
        return sum_columns(weight, start, inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, gradient = ctx.inputs, gradients[0].contiguous()
        to_weight = torch.zeros(ctx.shape)
        entries = (inputs.index.numpy(), inputs.columns, inputs.values, inputs.offsets)
        _spread_rows(*entries, gradient.numpy(), to_weight.numpy())
        return to_weight, gradient.sum(0), None


class ActiveFinder:
    """Finds what differs from the base in observations that are bytes on a grid and flat numbers, passed as they are.

    The base is that of the encoder's centre when the finder was made.
    """

    def __init__(self, encoder: ObservationEncoder) -> None:
        """Take the description and the centre of the inputs."""
        self.spec = encoder.spec
        grid, *flat = self.spec.leaves
        centre = encoder.centre.detach().cpu()
        nearest = torch.round(centre)
        self.applies = not any(leaf.groups for leaf in self.spec.leaves) and grid.grid is not None
        self.applies = self.applies and not grid.channels_last and all(leaf.grid is None for leaf in flat)
        self.applies = self.applies and encoder.centre.device.type == "cpu"
        self.base = nearest - centre
        split = grid.num_columns
        self._grid, self._flat = grid, tuple(flat)
        self._planes = np.clip(nearest[:split].numpy(), 0, 255).astype(np.uint8)
        self.base[:split] = torch.from_numpy(self._planes).float() - centre[:split]
        self._numbers = nearest[split:].numpy()

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
        """Compare with the base; the room for entries is what is worthwhile."""
        room = int(MAX_SHARE * len(self.base) * len(numbers)) + len(self.base)
        columns, values = np.empty(room, np.int32), np.empty(room, np.float32)
        offsets = np.empty(len(numbers) + 1, np.int64)
        count = _find_entries((planes, self._planes), (numbers, self._numbers), (offsets, columns, values))
        if count < 0:
            return None
        index = torch.arange(len(numbers)).reshape(lead)
        return ActiveInputs(self.base, columns[:count], values[:count], offsets, index)


def _generate_word(typing_context: Any, array: Any, place: Any) -> Any:
    """Read eight bytes from a place that need not be a multiple of eight; numba itself reads aligned numbers only."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        start = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(start, align=1, typ=ir.IntType(64))

    return types.uint64(array, types.intp), generate


_word: Any = intrinsic(_generate_word)


@njit(cache=True, nogil=True)
def _find_entries(planes: Any, numbers: Any, out: Any) -> int:
    """Write the entries of every row; returns their number, or −1 where they may not find room.

    `planes` is (uint8[Q·L], the base's uint8[L]), `numbers` is (float32[Q, F], the base's float32[F]), `out` is
    (offsets, columns, values). Bytes are compared eight at a time.
    """
    (shown, base), (flat, flat_base), (offsets, columns, values) = planes, numbers, out
    size, count = base.size, 0
    whole = size - size % 8
    for q in range(flat.shape[0]):
        offsets[q] = count
        if count + size + flat_base.size > columns.size:
            return -1
        first = q * size
        for start in range(0, size, 8):
            if start == whole or _word(shown, first + start) != _word(base, start):
                for i in range(start, min(start + 8, size)):
                    if shown[first + i] != base[i]:
                        columns[count] = i
                        values[count] = np.float32(shown[first + i]) - np.float32(base[i])
                        count += 1
        for i in range(flat_base.size):
            if flat[q, i] != flat_base[i]:
                columns[count] = size + i
                values[count] = flat[q, i] - flat_base[i]
                count += 1
    offsets[flat.shape[0]] = count
    return count


@njit(cache=True, nogil=True)
def _sum_rows(index: Any, columns: Any, values: Any, offsets: Any, weight: Any, start: Any, out: Any) -> None:
    for b in range(index.size):
        for d in range(start.size):
            out[b, d] = start[d]
        for k in range(offsets[index[b]], offsets[index[b] + 1]):
            column, value = columns[k], values[k]
            for d in range(start.size):
                out[b, d] += value * weight[column, d]


@njit(cache=True, nogil=True)
def _spread_rows(index: Any, columns: Any, values: Any, offsets: Any, gradient: Any, to_weight: Any) -> None:
    for b in range(index.size):
        for k in range(offsets[index[b]], offsets[index[b] + 1]):
            column, value = columns[k], values[k]
            for d in range(gradient.shape[1]):
                to_weight[column, d] += value * gradient[b, d]
