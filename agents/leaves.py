"""The parts of an observation: which arrays a Gymnasium space holds and by which rule each number becomes an input.

Shape key: N samples, H height, W width, C channels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.errors import UserError

BARE_NAME = "observation"
MAX_LEVELS = 16
MAX_LEVEL_RANGE = 1024
MAX_CATEGORIES = 10_000
PLANES = "planes"
"""The images [P, H, W] of our own worlds, of which there may be more than rows."""


@dataclass(frozen=True)
class Group:
    """Neighbouring elements of a leaf that are treated alike: a channel of an image, or one number of a vector.

    With ``levels`` the element x becomes one-hot over them (and over "any other value" where ``has_other``, else all
    zeros there); without, it becomes clip((x − mean) · scale, ±``limit``).
    """

    size: int
    levels: tuple[int, ...] = ()
    has_other: bool = False
    mean: float = 0.0
    scale: float = 1.0
    limit: float = math.inf

    @property
    def num_slots(self) -> int:
        """Columns per element."""
        return len(self.levels) + self.has_other if self.levels else 1


@dataclass(frozen=True)
class Leaf:
    """One array of the observation.

    Attributes:
        name: its path, joined by dots; ``observation`` where the whole observation is one array.
        shape: of one observation.
        grid: (H, W) where it lies on the grid of the planes, else None.
        channels_last: [H, W, C] rather than [C, H, W].
        groups: in the order of the flattened (channels first) elements; () passes all numbers on as they are.
        fittable: ``ObservationSpec.fit`` replaces the groups by what was observed.
    """

    name: str
    shape: tuple[int, ...]
    grid: tuple[int, int] | None = None
    channels_last: bool = False
    groups: tuple[Group, ...] = ()
    fittable: bool = False

    @property
    def num_elements(self) -> int:
        """Numbers in one observation."""
        return math.prod(self.shape)

    @property
    def num_columns(self) -> int:
        """Inputs that they become."""
        return sum(group.size * group.num_slots for group in self.groups) if self.groups else self.num_elements


def walk(space: spaces.Space[Any], name: str) -> Iterator[Leaf | str]:
    """Yield the leaves of a space depth first, and the names of text parts."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            yield from walk(part, f"{name}.{key}" if name else str(key))
    elif isinstance(space, spaces.Text) or (space.dtype is not None and space.dtype.kind == "U"):
        # MiniGrid's mission space is no subclass of Text; its type of element gives it away.
        yield name or BARE_NAME
    else:
        yield _leaf(space, name or BARE_NAME)


def _leaf(space: spaces.Space[Any], name: str) -> Leaf:
    """Describe one array."""
    if isinstance(space, spaces.Discrete):
        return Leaf(name, (), groups=_categories(name, [int(space.n)], [int(space.start)]))
    if isinstance(space, spaces.MultiDiscrete):
        starts = np.asarray(space.start).ravel().tolist()
        return Leaf(name, tuple(space.nvec.shape), groups=_categories(name, space.nvec.ravel().tolist(), starts))
    if isinstance(space, spaces.MultiBinary):
        return Leaf(name, tuple(space.shape))
    if isinstance(space, spaces.Box):
        return _box(space, name)
    kind = type(space).__name__
    raise UserError(
        f"Observation part {name!r} is a {kind} space, which cannot be encoded; "
        "allowed are Box, Discrete, MultiDiscrete, MultiBinary, and Dict or Tuple of these (wrap the env)."
    )


def _categories(name: str, sizes: Sequence[int], starts: Sequence[int]) -> tuple[Group, ...]:
    """Return one-hot groups for categorical numbers."""
    if max(sizes) > MAX_CATEGORIES:
        raise UserError(
            f"Observation part {name!r} has {max(sizes)} categories; one-hot inputs take at most {MAX_CATEGORIES} "
            "(wrap the env to give coordinates instead)."
        )
    return tuple(Group(1, tuple(range(start, start + size))) for size, start in zip(sizes, starts, strict=True))


def _box(space: spaces.Box, name: str) -> Leaf:
    """Describe a Box: numbers within [−1, 1] pass as they are, others are scaled by their bounds until fitted."""
    shape, is_integer = tuple(space.shape), space.dtype is not None and space.dtype.kind in "iu"
    channels_last = len(shape) == 3 and _is_channels_last(name, shape)
    grid = None
    if len(shape) == 3:
        grid = (shape[0], shape[1]) if channels_last else (shape[1], shape[2])
    elif len(shape) == 2 and is_integer:
        grid = (shape[0], shape[1])
    low, high = np.asarray(space.low, np.float64), np.asarray(space.high, np.float64)
    leaf = Leaf(name, shape, grid, channels_last)
    if low.min(initial=0.0) >= -1.0 and high.max(initial=0.0) <= 1.0:
        return leaf
    if grid is not None:
        # A background of zeros stays zero.
        num_channels = leaf.num_elements // (grid[0] * grid[1])
        groups = (_scaled(grid[0] * grid[1], float(low.min()), float(high.max())),) * num_channels
    else:
        bounds = zip(low.ravel().tolist(), high.ravel().tolist(), strict=True)
        groups = tuple(_scaled(1, *pair, centre=0.5) for pair in bounds)
    return dataclasses.replace(leaf, groups=groups, fittable=True)


def _is_channels_last(name: str, shape: tuple[int, ...]) -> bool:
    """Whether [H, W, C] rather than [C, H, W]: planes of our worlds are not; channels are what is beside a square.

    Where neither tells, or both do, the shorter of the outer axes is taken for the channels.
    """
    first, middle, last = shape
    if name == PLANES:
        return False
    if (first == middle) != (middle == last):
        return first == middle
    return last < first


def _scaled(size: int, low: float, high: float, *, centre: float = 0.0) -> Group:
    """Map [low, high] to [−centre, 1 − centre]; numbers without useful bounds pass as they are."""
    width = high - low
    return Group(size, mean=low + centre * width, scale=1.0 / width) if 0.0 < width < 1e6 else Group(size)


def leaf_from_dict(plain: Mapping[str, Any]) -> Leaf:
    """Rebuild one leaf."""
    groups = [{**group, "levels": tuple(group["levels"])} for group in plain["groups"]]
    groups = [{**group, "limit": math.inf if group["limit"] is None else group["limit"]} for group in groups]
    grid = tuple(plain["grid"]) if plain["grid"] else None
    fields = {**plain, "shape": tuple(plain["shape"]), "grid": grid, "groups": tuple(Group(**g) for g in groups)}
    return Leaf(**fields)


def channels_first(leaf: Leaf, array: Any) -> Any:
    """Return [N, *shape] (numpy or torch) as [N, elements], channels before rows and columns."""
    if leaf.channels_last:
        array = array.transpose(0, 3, 1, 2) if isinstance(array, np.ndarray) else array.permute(0, 3, 1, 2)
    return array.reshape(array.shape[0], -1)


def fit_leaf(leaf: Leaf, sample: np.ndarray) -> Leaf:
    """Choose the groups of one leaf from a sample [N, *shape]."""
    if sample.shape[1:] != leaf.shape or sample.shape[0] == 0:
        raise UserError(f"Sample of part {leaf.name!r} has shape {sample.shape}; it must be (N, *{leaf.shape}), N ≥ 1.")
    elements = channels_first(leaf, sample)
    # A vector's numbers mean different things, so each gets its own rule; a channel's do not.
    num_groups = len(leaf.groups) if leaf.grid or len(leaf.shape) == 3 else leaf.num_elements
    blocks = np.split(elements, num_groups, axis=1)
    return dataclasses.replace(leaf, groups=tuple(_fit_group(block) for block in blocks))


def _fit_group(block: np.ndarray) -> Group:
    """Choose levels or statistics for the numbers [N, size] of one group."""
    levels = np.unique(block) if block.dtype.kind in "iu" else np.empty(0)
    size, limit = block.shape[1], 10.0
    if 1 < len(levels) <= MAX_LEVELS and int(levels[-1]) - int(levels[0]) <= MAX_LEVEL_RANGE:
        return Group(size, tuple(int(level) for level in levels), has_other=True)
    deviation = float(np.std(block, dtype=np.float64))
    mean = float(np.mean(block, dtype=np.float64))
    return Group(size, mean=mean, scale=1.0 / deviation if deviation > 1e-12 else 1.0, limit=limit)
