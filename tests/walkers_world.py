# mypy: disable-error-code="no-untyped-def, call-arg"
"""A world for tests: three walkers on a ring, each on its own chance channel, of which an action pushes one.

Walker 0 steps back, stays or steps on; walkers 1 and 2 stay or step on. Action a < 3 pushes walker a one place on,
action 3 pushes nobody. With `joint` one draw moves all three (as a world must not do): pushing one walker then moves
the cuts of the others. Row: [walker_0, walker_1, walker_2].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.noise import integer, level_key
from envs.rows import World
from envs.worlds.absent import no_context

LENGTH = 11


@dataclass(frozen=True)
class WalkersConfig:
    joint: bool = False


class Numbers(NamedTuple):
    length: int
    joint: bool


@njit
def begin(config, row, level, start):
    for i in range(3):
        row[i] = integer(level_key(level), i, config.length)


@njit
def transition(config, row, action, draws, components):
    event = -1
    for i in range(3):
        draw = draws[i]
        if config.joint:
            draw = (draws[0] * 7.0 ** (i + 1) + 0.3 * (action < i)) % 1.0
        step = 1 if draw >= 0.7 else 0
        if i == 0 and draw < 0.2:
            step = -1
        if action == i:
            step += 1
        row[i] = (row[i] + step) % config.length
        if row[i] == 0:
            components[i] = 1.0
            event = i
    return event, row[0] == 0 and row[1] == 0


@njit
def observe(config, row, planes, vector):
    for i in range(3):
        planes[i, 0, row[i]] = 1
    vector[0] = 0.5 if row[0] == row[1] else 1.0


@njit
def breakpoints(config, row, action, channel, cuts):
    if channel == 0:
        cuts[0], cuts[1] = 0.2, 0.7
        return 2
    cuts[0] = 0.7
    return 1


context = no_context


def world(config: WalkersConfig) -> World:
    names = tuple(f"walker_{i}" for i in range(3))
    return World(
        name="Walkers",
        module=__name__,
        config=config,
        kernel_config=Numbers(LENGTH, config.joint),
        row_size=3,
        num_channels=3,
        num_levels=100,
        plane_names=(*names, "wall"),
        vector_names=("apart",),
        component_names=names,
        event_names=names,
        action_names=("push_0", "push_1", "push_2", "wait"),
        reward_weights=np.array([1.0, 0.0, 0.0]),
        performance_weights=np.array([0.0, 1.0, -1.0]),
        discount=0.9,
        time_limit=20,
        max_outcomes=12,
        background=np.zeros((4, 1, LENGTH), np.uint8),
    )
