"""CrossedHistory: K objects worth the same under K cues, while training shows each cue with its own object.

A level draws the agent's start, the objects' cells and a cue that is constant and shown; reaching any object gives
component object_o = 1, event o, and ends the episode. So V* = γ^(distance to the nearest object − 1) has no interaction
of cue and object by construction; what a learned V has of it, it has from its history.

Layouts:
- "train": one object; pairing[cue], or with probability `dose` one of the other objects, uniformly.
- "crossed": level i shows cue i mod K and object (i div K) mod K at the cells of layout i div K², so every layout
  appears under every pairing with the same cells.
- "choice": level i shows cue i mod K and two objects at equal path distance, at the cells of layout i div K.
Here i counts from 0 in either split, the splits' layouts are drawn apart, and a split has whole turns of these levels.

Row: [agent, object_0 .. object_{K-1}, cue]; an absent object is at -1.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, type-var, operator, misc, has-type"
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit

from envs.errors import UserError, require_choice, require_integer, require_number, require_sequence
from envs.family import Family
from envs.noise import integer, level_key, uniform
from envs.rows import World
from envs.states import first_of_split
from envs.worlds.absent import no_chance
from envs.worlds.cells import (
    ACTION_NAMES,
    MAX_SIZE,
    cell_of_rank,
    draw_cell,
    equal_pair,
    free_cell,
    is_among,
    is_interior,
    move,
    room_background,
    unchanged,
)
from envs.worlds.options import WorldConfig, read_with, refuse_unread, whole_turns

LAYOUTS = ("train", "crossed", "choice")
_TRAIN, _CROSSED = 0, 1
_CUE_DRAW, _DOSE_DRAW, _OBJECT_DRAW, _AGENT_DRAW, _CELL_DRAW = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class CrossedHistoryConfig(WorldConfig):
    """Options of CrossedHistory.

    Attributes:
        size: Interior cells per side, 2 to 62.
        num_cues: K, cues and objects, 2 to 8, fewer than the cells.
        pairing: Permutation of 0..K-1, the object that training shows with each cue; () stands for the identity, and
            is all that the other layouts have.
        dose: Probability that a training level shows another object, 0 to 0.5.
        layout: "train", "crossed" or "choice"; the last two round num_levels up to multiples of K² and of K.
    """

    layout_with_pairs: ClassVar[str] = "crossed"
    """Every situation occurs there under every cue."""

    size: int = 7
    num_cues: int = 2
    pairing: tuple[int, ...] = read_with("layout", "train", default=())
    dose: float = read_with("layout", "train", default=0.0)
    layout: str = "train"

    def __post_init__(self) -> None:
        """Refuse values out of range, and a pairing that is no permutation."""
        super().__post_init__()
        require_integer("size", self.size, low=2, high=MAX_SIZE)
        require_integer("num_cues", self.num_cues, low=2, high=min(8, self.size**2 - 1))
        require_number("dose", self.dose, low=0.0, high=0.5)
        require_choice("layout", self.layout, choices=LAYOUTS)
        object.__setattr__(self, "pairing", self._checked_pairing())
        refuse_unread(self)

    def _checked_pairing(self) -> tuple[int, ...]:
        identity = tuple(range(self.num_cues))
        require_sequence("pairing", self.pairing, of=f"the objects {identity}")
        pairing = tuple(self.pairing) or identity
        whole = all(isinstance(item, (int, np.integer)) and not isinstance(item, bool) for item in pairing)
        if not whole or tuple(sorted(pairing)) != identity:
            raise UserError(
                f"pairing is {self.pairing!r}, allowed is a permutation of {identity}; name each object once, by cue."
            )
        return () if pairing == identity and self.layout != "train" else tuple(int(item) for item in pairing)


class Numbers(NamedTuple):
    """What the numba functions read; digit c of `pairing`, to base K, is the object of cue c."""

    size: int
    num_cues: int
    pairing: int
    dose: float
    layout: int


@njit
def begin(config, row, level, start):
    """Draw cue, objects and cells from the level."""
    k = config.num_cues
    first = first_of_split(level)
    index = level - first
    for i in range(1, k + 1):
        row[i] = -1
    if config.layout == _TRAIN:
        key = level_key(level)
        row[k + 1] = integer(key, _CUE_DRAW, k)
        _place_one(config, row, key, _trained_object(config, row[k + 1], key))
    elif config.layout == _CROSSED:
        row[k + 1] = index % k
        _place_one(config, row, level_key(first + index // (k * k)), index // k % k)
    else:
        row[k + 1] = index % k
        _place_two(config, row, level_key(first + index // k))


@njit
def _trained_object(config, cue, key):
    paired = config.pairing // config.num_cues**cue % config.num_cues
    if uniform(key, _DOSE_DRAW, 0) >= config.dose:
        return paired
    return (paired + 1 + integer(key, _OBJECT_DRAW, config.num_cues - 1)) % config.num_cues


@njit
def _place_one(config, row, key, object_index):
    num_cells = config.size**2
    row[0] = cell_of_rank(integer(key, _AGENT_DRAW, num_cells), config.size)
    row[1 + object_index] = free_cell(row[:1], integer(key, _CELL_DRAW, num_cells - 1), config.size)


@njit
def _place_two(config, row, key):
    """Two objects, drawn uniformly from all ordered pairs of cells at equal distance from the agent."""
    k = config.num_cues
    row[0] = cell_of_rank(integer(key, _AGENT_DRAW, config.size**2), config.size)
    first = integer(key, _OBJECT_DRAW, k)
    second = (first + 1 + integer(key, _DOSE_DRAW, k - 1)) % k
    num_pairs, _, _ = equal_pair(row[0], config.size, -1)
    _, row[1 + first], row[1 + second] = equal_pair(row[0], config.size, integer(key, _CELL_DRAW, num_pairs))


@njit
def transition(config, row, action, draws, components):
    """The agent moves; any object pays 1 and ends the episode."""
    row[0] = move(row[0], action, config.size)
    for i in range(config.num_cues):
        if row[1 + i] == row[0]:
            components[i] = 1.0
            return i, True
    return -1, False


@njit
def observe(config, row, planes, vector):
    """Agent and present objects in their planes, the cue one-hot."""
    for i in range(config.num_cues + 1):
        if row[i] >= 0:
            draw_cell(planes, i, row[i])
    vector[row[config.num_cues + 1]] = 1.0


breakpoints = no_chance


@njit
def context(config, row):
    """The cue."""
    return row[config.num_cues + 1]


@njit
def possible(config, row, first, ended):
    """The level's objects and cue, and at an object the episode ends."""
    objects = row[1 : 1 + config.num_cues]
    kept = unchanged(row, first, 1, row.size) and is_interior(row[0], config.size)
    return kept and is_among(row[0], objects) == ended


def world(config: CrossedHistoryConfig) -> World:
    """The world with the given options; components and events are the objects."""
    k = config.num_cues
    cues, objects = (tuple(f"{word}_{i}" for i in range(k)) for word in ("cue", "object"))
    pairing = sum(item * k**cue for cue, item in enumerate(config.pairing))
    return World(
        name="CrossedHistory",
        module=__name__,
        config=config,
        kernel_config=Numbers(config.size, k, pairing, float(config.dose), LAYOUTS.index(config.layout)),
        row_size=k + 2,
        num_levels=whole_turns(config.num_levels, {"train": 1, "crossed": k * k, "choice": k}[config.layout]),
        plane_names=("agent", *objects, "wall"),
        vector_names=cues,
        component_names=objects,
        event_names=objects,
        action_names=ACTION_NAMES,
        context_names=cues,
        reward_weights=np.ones(k),
        performance_weights=np.ones(k),
        discount=config.discount,
        time_limit=config.time_limit,
        background=room_background(config.size, num_planes=k + 2),
    )


FAMILY = Family(
    CrossedHistoryConfig,
    world,
    {
        "5x5": {"size": 3},
        "Dose10": {"dose": 0.1},
        "Dose50": {"dose": 0.5},
        "Crossed": {"layout": "crossed"},
        "Choice": {"layout": "choice"},
    },
    dose=("dose",),
)
