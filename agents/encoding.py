"""Observations as network inputs: the module that computes the canonical matrix of an ``ObservationSpec``.

Shape key: B batch, D inputs, G groups, E elements, R length of a table's row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.leaves import Leaf, channels_first
from agents.observations import ObservationSpec
from envs.errors import NonFiniteError, UserError

CHUNK = 8192  # Rows that are encoded at once where there are many.


class ObservationEncoder(nn.Module):
    """Computes the canonical matrix of an ``ObservationSpec``, minus the mean of a sample; holds no parameters.

    Its tables are not in the state dict: checkpoints store the spec, from which they follow. The mean is. Without it a
    plane that never changes, such as the walls of a room, acts as a bias with as many times the learning rate as it has
    ones, and value heads on our worlds did not learn.

    Attributes:
        centre: float32 [D], subtracted from every row; zeros until ``fit_centre``.
    """

    centre: Tensor

    def __init__(self, spec: ObservationSpec) -> None:
        """Build the tables of every leaf."""
        super().__init__()
        self.spec = spec
        self.leaf_encoders = nn.ModuleList(_make_encoder(leaf) for leaf in spec.leaves)
        self.register_buffer("centre", torch.zeros(spec.num_inputs))

    def fit_centre(self, observations: Any) -> None:
        """Set the centre to the mean of a sample of observations [N, ...], N ≥ 1; raises as ``forward``."""
        self.centre.zero_()
        arrays, num_rows = self.spec.select(observations), 0
        total = torch.zeros_like(self.centre, dtype=torch.float64)
        # All rows at once would take many times the sample's own bytes.
        for start in range(0, len(next(iter(arrays.values()))), CHUNK):
            rows = self({name: array[start : start + CHUNK] for name, array in arrays.items()}).flatten(0, -2)
            total += rows.sum(dim=0, dtype=torch.float64)
            num_rows += len(rows)
        self.centre.copy_(total.to(torch.float32) / num_rows)

    def forward(self, observations: Any) -> Tensor:
        """Encode observations with any leading axes, the same for all parts.

        Args:
            observations: numpy arrays or tensors (any device) as the space nests them or flat by leaf name.

        Returns:
            float32 [..., D] on this module's device.

        Raises:
            UserError: a part is missing or has another shape.
            NonFiniteError: a NaN or infinity in a numpy array, with the index of its first row.
        """
        arrays = self.spec.select(observations)
        device = self.centre.device
        parts = [_as_tensor(leaf, arrays[leaf.name]) for leaf in self.spec.leaves]
        lead = _leading_shape(self.spec.leaves, parts)
        matrix = torch.empty(math.prod(lead), self.spec.num_inputs, device=device)
        start = 0
        for leaf, encoder, part in zip(self.spec.leaves, self.leaf_encoders, parts, strict=True):
            # Bytes travel to the device and are widened there, in the one copy into their columns.
            elements = channels_first(leaf, part.reshape(-1, *leaf.shape).to(device))
            encoder(elements, matrix[:, start : start + leaf.num_columns])
            start += leaf.num_columns
        matrix.sub_(self.centre)
        return matrix.reshape(*lead, self.spec.num_inputs)


class _Copy(nn.Module):
    """Numbers that pass as they are."""

    def forward(self, elements: Tensor, columns: Tensor) -> None:
        """Copy [B, E] into the columns [B, E], converting to float32."""
        columns.copy_(elements)


class _Affine(nn.Module):
    """clip((x − mean) · scale, ±limit), element by element."""

    mean: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, leaf: Leaf) -> None:
        """Spread the groups' statistics over their elements."""
        super().__init__()
        sizes = torch.tensor([group.size for group in leaf.groups])
        for name in ("mean", "scale", "limit"):
            values = torch.tensor([getattr(group, name) for group in leaf.groups], dtype=torch.float32)
            self.register_buffer(name, torch.repeat_interleave(values, sizes), persistent=False)

    def forward(self, elements: Tensor, columns: Tensor) -> None:
        """Write the scaled numbers [B, E] into the columns [B, E]."""
        columns.copy_(self.scale_numbers(elements))

    def scale_numbers(self, elements: Tensor) -> Tensor:
        """Return the scaled numbers float32 [B, E]."""
        scaled = (elements.to(torch.float32) - self.mean) * self.scale
        return torch.clamp(scaled, -self.limit, self.limit)


class _LevelPlanes(nn.Module):
    """The channels of an image: those with levels become one plane per level and one for any other value."""

    def __init__(self, leaf: Leaf) -> None:
        """Hold every channel's levels in the type of the numbers, which keeps the comparison narrow."""
        super().__init__()
        self.groups = leaf.groups
        for index, group in enumerate(leaf.groups):
            is_byte = all(0 <= level <= 255 for level in group.levels)
            levels = torch.tensor(group.levels, dtype=torch.uint8 if is_byte else torch.int64)
            self.register_buffer(f"levels_{index}", levels.unsqueeze(1), persistent=False)

    def forward(self, elements: Tensor, columns: Tensor) -> None:
        """Write the code of [B, E] into its columns."""
        first, column = 0, 0
        for index, group in enumerate(self.groups):
            channel = elements[:, first : first + group.size]
            block = columns[:, column : column + group.size * group.num_slots]
            if group.levels:
                self._write_planes(index, channel, block.view(-1, group.num_slots, group.size))
            else:
                scaled = (channel.to(torch.float32) - group.mean) * group.scale
                block.copy_(scaled.clamp_(-group.limit, group.limit))
            first, column = first + group.size, column + block.shape[1]

    def _write_planes(self, index: int, channel: Tensor, planes: Tensor) -> None:
        """Write the one-hot planes [B, slots, size] of one channel [B, size]."""
        num_levels = len(self.groups[index].levels)
        # Comparing into the floats saves a pass over them; subtracting planes beats a sum over the middle axis.
        torch.eq(channel.unsqueeze(1), self.get_buffer(f"levels_{index}"), out=planes[:, :num_levels])
        if self.groups[index].has_other:
            other = torch.sub(1.0, planes[:, 0], out=planes[:, num_levels])
            for level in range(1, num_levels):
                other.sub_(planes[:, level])


class _Levels(nn.Module):
    """Single numbers, of which those with levels become one-hot and the others affine."""

    affine_index: Tensor
    affine_column: Tensor
    level_index: Tensor
    level_column: Tensor
    low: Tensor
    row: Tensor
    slots: Tensor
    known: Tensor

    def __init__(self, leaf: Leaf) -> None:
        """Tabulate every element's first column and every group's value → slot."""
        super().__init__()
        self.affine = _Affine(leaf)
        slots, known, low = _level_tables(leaf)
        widths = torch.tensor([group.num_slots for group in leaf.groups])
        first_column = torch.cumsum(widths, 0) - widths
        is_level = torch.tensor([bool(group.levels) for group in leaf.groups])
        buffers = {
            "affine_index": torch.nonzero(~is_level)[:, 0],
            "affine_column": first_column[~is_level],
            "level_index": torch.nonzero(is_level)[:, 0],
            "level_column": first_column[is_level],
            "low": low[is_level] - 1,
            "row": (torch.arange(len(widths)) * slots.shape[1])[is_level],
            "slots": slots.flatten(),
            "known": known.flatten(),
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self.last_value = slots.shape[1] - 1

    def forward(self, elements: Tensor, columns: Tensor) -> None:
        """Write the code of [B, E] into its columns."""
        columns.zero_()
        if len(self.affine_index):
            columns[:, self.affine_column] = self.affine.scale_numbers(elements)[:, self.affine_index]
        values = (elements[:, self.level_index].to(torch.int64) - self.low).clamp_(0, self.last_value)
        entry = values.add_(self.row)
        columns.scatter_(1, self.slots[entry] + self.level_column, self.known[entry])


def _level_tables(leaf: Leaf) -> tuple[Tensor, Tensor, Tensor]:
    """Tabulate value − lowest level + 1 → slot for each group; both ends of a row stand for all values beyond it.

    Returns:
        slots int64 [G, R]; known float32 [G, R], 0 where nothing is set; lowest level int64 [G].
    """
    spans = [group.levels[-1] - group.levels[0] + 1 if group.levels else 1 for group in leaf.groups]
    low = torch.tensor([group.levels[0] if group.levels else 0 for group in leaf.groups])
    slots = torch.zeros(len(leaf.groups), max(spans) + 2, dtype=torch.int64)
    known = torch.zeros(slots.shape)
    for index, group in enumerate(leaf.groups):
        if group.has_other:
            slots[index], known[index] = len(group.levels), 1.0
        entries = torch.tensor(group.levels, dtype=torch.int64) - low[index] + 1
        slots[index, entries], known[index, entries] = torch.arange(len(group.levels)), 1.0
    return slots, known, low


def _make_encoder(leaf: Leaf) -> nn.Module:
    """Choose the cheapest module that computes a leaf's columns."""
    if not leaf.groups:
        return _Copy()
    if not any(group.levels for group in leaf.groups):
        return _Affine(leaf)
    return _Levels(leaf) if leaf.groups[0].size == 1 else _LevelPlanes(leaf)


def _as_tensor(leaf: Leaf, part: Any) -> Tensor:
    """Return a part as a tensor of a type that torch computes with; numpy floats are checked."""
    if isinstance(part, Tensor):
        return part
    array = np.asarray(part)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        rows = np.isfinite(array).reshape(*array.shape[: array.ndim - len(leaf.shape)], -1).all(axis=-1)
        raise NonFiniteError(f"observation {leaf.name!r}", env=int(np.argmin(rows)) if rows.ndim else None)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if array.dtype.kind not in "biuf":
        raise UserError(f"Observation part {leaf.name!r} has type {array.dtype}; it must hold numbers.")
    # torch warns about memory that it could write to against the owner's will.
    return torch.from_numpy(np.ascontiguousarray(array) if array.flags.writeable else array.copy())


def _leading_shape(leaves: tuple[Leaf, ...], parts: list[Tensor]) -> tuple[int, ...]:
    """Return the axes before an observation's own, and refuse parts that disagree on them."""
    leads = set()
    for leaf, part in zip(leaves, parts, strict=True):
        split = part.dim() - len(leaf.shape)
        if split < 0 or tuple(part.shape[split:]) != leaf.shape:
            seen = tuple(part.shape)
            raise UserError(f"Observation part {leaf.name!r} has shape {seen}; its last axes must be {leaf.shape}.")
        leads.add(tuple(part.shape[:split]))
    if len(leads) > 1:
        raise UserError(f"Observation parts disagree on their leading axes, {sorted(leads)}; give them equal batches.")
    return leads.pop()
