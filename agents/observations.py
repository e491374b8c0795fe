"""What an observation consists of: a description read off a Gymnasium space, fitted to a sample, stored as JSON.

The canonical form of a batch of observations is one float32 matrix [B, D]: the first P·H·W columns are the planes
[P, H, W] of everything that has a place on one grid, the other F columns are flat. One matrix lets a dense first
layer take planes and flat numbers in one product. ``agents.encoding`` computes it.
Shape key: B batch, D inputs, P planes, H height, W width, F flat numbers, N samples.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from agents.leaves import Leaf, fit_leaf, leaf_from_dict, walk
from envs.errors import UserError


@dataclass(frozen=True)
class ObservationSpec:
    """All leaves of an observation, those on the grid first, and the names that were dropped (text)."""

    leaves: tuple[Leaf, ...]
    dropped: tuple[str, ...] = ()

    @classmethod
    def from_space(cls, space: spaces.Space[Any]) -> ObservationSpec:
        """Describe Box, Discrete, MultiDiscrete, MultiBinary and Dict or Tuple of these; text in a Dict is dropped.

        Raises:
            UserError: another kind of space, or nothing is left after dropping text.
        """
        found = list(walk(space, ""))
        leaves = [leaf for leaf in found if isinstance(leaf, Leaf)]
        if not leaves:
            raise UserError(f"Observation space {space} holds no numbers; an agent needs Box or Discrete parts.")
        grid = next((leaf.grid for leaf in leaves if leaf.grid), None)
        # Only one grid can carry planes; what lies on another one becomes flat.
        leaves = [leaf if leaf.grid == grid else dataclasses.replace(leaf, grid=None) for leaf in leaves]
        ordered = sorted(leaves, key=lambda leaf: leaf.grid is None)
        return cls(tuple(ordered), tuple(name for name in found if isinstance(name, str)))

    @property
    def planes_shape(self) -> tuple[int, int, int] | None:
        """(P, H, W) of the planes, None without any."""
        on_grid = [leaf for leaf in self.leaves if leaf.grid]
        if not on_grid or on_grid[0].grid is None:
            return None
        height, width = on_grid[0].grid
        return sum(leaf.num_columns for leaf in on_grid) // (height * width), height, width

    @property
    def num_inputs(self) -> int:
        """D, the width of the canonical matrix."""
        return sum(leaf.num_columns for leaf in self.leaves)

    @property
    def num_flat(self) -> int:
        """F, the number of columns after the planes."""
        return sum(leaf.num_columns for leaf in self.leaves if not leaf.grid)

    def select(self, observations: Any) -> dict[str, Any]:
        """Return the arrays of the leaves by name, without the dropped parts: what a buffer should store.

        Args:
            observations: as a (vector) env returns them, nested as the space is, or already flat by leaf name.

        Raises:
            UserError: a part is missing.
        """
        return {leaf.name: _find(observations, leaf.name, single=len(self.leaves) == 1) for leaf in self.leaves}

    def fit(self, observations: Any) -> ObservationSpec:
        """Return the spec with levels or statistics taken from a sample; leaves that need none stay as they are.

        Integer groups with at most 16 distinct values become one-hot over these and "other"; the rest becomes
        (x − mean)/sd, clipped to ±10 (sd 0 counts as 1). Values that the sample lacks are all alike to the agent.

        Args:
            observations: a batch [N, ...] per leaf, N ≥ 1, as ``select`` takes it.

        Raises:
            UserError: a part is missing or has another shape.
        """
        arrays = self.select(observations)
        fitted = [fit_leaf(leaf, np.asarray(arrays[leaf.name])) if leaf.fittable else leaf for leaf in self.leaves]
        return dataclasses.replace(self, leaves=tuple(fitted))

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON-ready dicts and lists (an infinite limit is None)."""
        plain = dataclasses.asdict(self)
        for leaf in plain["leaves"]:
            for group in leaf["groups"]:
                group["limit"] = None if math.isinf(group["limit"]) else group["limit"]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ObservationSpec:
        """Rebuild what ``to_dict`` wrote; KeyError or TypeError where it is something else."""
        return cls(tuple(leaf_from_dict(leaf) for leaf in plain["leaves"]), tuple(plain["dropped"]))


def _find(observations: Any, name: str, *, single: bool) -> Any:
    """Look a leaf up by its flat name or along its path; a lone leaf may be given bare."""
    if single and not isinstance(observations, Mapping | tuple):
        return observations
    if isinstance(observations, Mapping) and name in observations:
        return observations[name]
    part = observations
    for key in name.split("."):
        try:
            part = part[int(key)] if isinstance(part, tuple) else part[key]
        except (KeyError, IndexError, TypeError, ValueError):
            given = list(observations) if isinstance(observations, Mapping) else type(observations).__name__
            raise UserError(f"Observation part {name!r} is missing; the observation holds {given}.") from None
    return part
