"""TwoDoors: four objects of different worth, of which training only ever shows two fixed pairs together.

A level puts two of the objects A, B, C, D into two doors, the middles of two of the four walls of a square room, at
equal distance from the centre, where the agent starts. Stepping on an object pays its reward, is its event, and ends
the episode. Training shows A with B and C with D: each pair is a context that has a better and a worse object. What an
agent has learned, worth or rank, shows when B, which was always the worse one, stands with C, which was always the
better one and is worth less. People reverse here.

Layouts:
- "train": A with B or C with D, each with probability 1/2, or with probability `dose` one of the four crossed pairs.
- "crossed": level i shows crossed pair i mod 4, of (A, C), (A, D), (B, C), (B, D), in the doors of layout i div 4, so
  that every layout appears with every pair. Here i counts from 0 in either split.

At the start V* = γ^(d - 1) · (the larger of the two rewards) with d = (size - 1)/2. Size 3 is a bandit: there an actor
that sees the true reward of its next step (V₁, search) tells the objects apart without V, so that nothing about V can
show; from size 5 on its first step rests on V alone.

Row: [agent, A, B, C, D]; an absent object is at -1.

Source: Bavard et al. (2018), doi 10.1038/s41467-018-06781-2, for the choices of people.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, type-var, operator"
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.errors import UserError, require_choice, require_number, require_odd, require_sequence
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
    is_among,
    is_interior,
    move,
    room_background,
    unchanged,
)
from envs.worlds.options import WorldConfig, read_with, refuse_unread, whole_turns

OBJECTS = ("A", "B", "C", "D")
LAYOUTS = ("train", "crossed")
_TRAIN = 0
_FIRST_PAIR, _SECOND_PAIR, _CROSSED_PAIR = 0, 1, 2
_PAIR_DRAW, _DOSE_DRAW, _DOOR_DRAW, _OTHER_DOOR_DRAW = 0, 1, 2, 3


@dataclass(frozen=True)
class TwoDoorsConfig(WorldConfig):
    """Options of TwoDoors.

    Attributes:
        size: Interior cells per side, odd, 3 to 61; the doors are (size - 1)/2 steps away.
        rewards: Rewards of A, B, C, D, each 0 to 1000000.
        dose: Probability that a training level shows a crossed pair, 0 to 1.
        layout: "train" or "crossed", which rounds num_levels up to a multiple of 4.
    """

    size: int = 5
    rewards: tuple[float, ...] = (1.0, 0.9, 0.2, 0.1)
    dose: float = read_with("layout", "train", default=0.0)
    layout: str = "train"

    def __post_init__(self) -> None:
        """Refuse values out of range, and a room without a centre."""
        super().__post_init__()
        require_odd("size", self.size, low=3, high=MAX_SIZE - 1)
        require_number("dose", self.dose, low=0.0, high=1.0)
        require_choice("layout", self.layout, choices=LAYOUTS)
        refuse_unread(self)
        require_sequence("rewards", self.rewards, of="four numbers")
        if len(self.rewards) != len(OBJECTS):
            raise UserError(f"rewards is {self.rewards!r}, allowed are four numbers; give one each for A, B, C and D.")
        for name, reward in zip(OBJECTS, self.rewards, strict=True):
            require_number(f"reward of {name}", reward, low=0.0, high=1e6)
        object.__setattr__(self, "rewards", tuple(float(reward) for reward in self.rewards))


class Numbers(NamedTuple):
    """What the numba functions read."""

    size: int
    dose: float
    layout: int


@njit
def begin(config, row, level, start):
    """The agent in the centre, two objects in two doors."""
    if config.layout == _TRAIN:
        key = level_key(level)
        first, second = _trained_pair(config.dose, key)
    else:
        first_level = first_of_split(level)
        index = level - first_level
        key = level_key(first_level + index // 4)
        first, second = _crossed_pair(index % 4)
    door = integer(key, _DOOR_DRAW, 4)
    other_door = (door + 1 + integer(key, _OTHER_DOOR_DRAW, 3)) % 4
    row[0] = cell_of_rank(config.size**2 // 2, config.size)
    for i in range(1, 5):
        row[i] = -1
    row[1 + first] = _door_cell(row[0], door, config.size)
    row[1 + second] = _door_cell(row[0], other_door, config.size)


@njit
def _trained_pair(dose, key):
    if uniform(key, _DOSE_DRAW, 0) < dose:
        return _crossed_pair(integer(key, _PAIR_DRAW, 4))
    first = 2 * integer(key, _PAIR_DRAW, 2)
    return first, first + 1


@njit
def _crossed_pair(index):
    """The index-th of (A, C), (A, D), (B, C), (B, D)."""
    return index // 2, 2 + index % 2


@njit
def _door_cell(centre, direction, size):
    """The cell at the end of a walk from the centre in a direction, numbered as the actions are."""
    cell = centre
    for _ in range(size // 2):
        cell = move(cell, direction, size)
    return cell


@njit
def transition(config, row, action, draws, components):
    """The agent moves; an object pays and ends the episode."""
    row[0] = move(row[0], action, config.size)
    for i in range(4):
        if row[1 + i] == row[0]:
            components[i] = 1.0
            return i, True
    return -1, False


@njit
def observe(config, row, planes, vector):
    """Agent and present objects in their planes."""
    for i in range(5):
        if row[i] >= 0:
            draw_cell(planes, i, row[i])


breakpoints = no_chance


@njit
def context(config, row):
    """The pair that is present."""
    if row[1] >= 0 and row[2] >= 0:
        return _FIRST_PAIR
    if row[3] >= 0 and row[4] >= 0:
        return _SECOND_PAIR
    return _CROSSED_PAIR


@njit
def possible(config, row, first, ended):
    """The level's objects, and at an object the episode ends."""
    return unchanged(row, first, 1, 5) and is_interior(row[0], config.size) and is_among(row[0], row[1:]) == ended


def world(config: TwoDoorsConfig) -> World:
    """The world with the given options; components and events are the objects."""
    rewards = np.array(config.rewards)
    return World(
        name="TwoDoors",
        module=__name__,
        config=config,
        kernel_config=Numbers(config.size, float(config.dose), LAYOUTS.index(config.layout)),
        row_size=5,
        num_levels=whole_turns(config.num_levels, 1 if config.layout == "train" else 4),
        plane_names=("agent", *OBJECTS, "wall"),
        component_names=OBJECTS,
        event_names=OBJECTS,
        action_names=ACTION_NAMES,
        context_names=("AB", "CD", "crossed"),
        reward_weights=rewards,
        performance_weights=rewards.copy(),
        discount=config.discount,
        time_limit=config.time_limit,
        background=room_background(config.size, num_planes=6),
        glyphs={(name,): name for name in OBJECTS},
    )


FAMILY = Family(
    TwoDoorsConfig,
    world,
    {
        "5x5": {"size": 3},
        "11x11": {"size": 9},
        "Dose10": {"dose": 0.1},
        "Dose50": {"dose": 0.5},
        "Crossed": {"layout": "crossed"},
    },
    dose=("dose",),
)
