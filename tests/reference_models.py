"""What the tests of worlds share: cells as pairs, and a kernel compared with a plain-Python model of its rules.

A model is an object made for one episode, by `make_model(world, level, row)`, where `row` is the episode's first row,
which may be read for what the engine drew (the start). It has

    step(action, draws) -> (reward, event, terminated)      event -1 for none
    observation() -> (planes uint8[P, H, W], vector float32[V])

may keep the latest `components` by name, and says everything in its own words: it must not call the kernels that it
checks.
"""

from __future__ import annotations

import numpy as np
import pytest

from envs import GridVectorEnv, make_world
from envs.noise import episode_key, uniform

MOVES = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}


def interior(size):
    return [(y, x) for y in range(1, size + 1) for x in range(1, size + 1)]


def cell_number(y, x):
    """The number that stands for a cell in a row."""
    return 64 * y + x


def moved(cell, action, size):
    y, x = (cell[axis] + MOVES[action][axis] for axis in (0, 1))
    return (y, x) if 1 <= y <= size and 1 <= x <= size else cell


def distance(first, second):
    return abs(first[0] - second[0]) + abs(first[1] - second[1])


def cells_of(planes, *, plane):
    return [tuple(int(value) for value in cell) for cell in np.argwhere(planes[plane])]


def walls_of(size):
    """The wall plane uint8[size + 2, size + 2] of an open room."""
    plane = np.ones((size + 2, size + 2), np.uint8)
    plane[1:-1, 1:-1] = 0
    return plane


def assert_kernel_agrees(name, options, make_model, *, split, num_envs=6, num_steps=80):
    """Observation, reward, event and flags over several random episodes of several envs, with NEXT_STEP resets."""
    world = make_world(name, **options)
    rng = np.random.default_rng(0)
    env = GridVectorEnv(world, num_envs, levels=world.levels(split))
    observations, infos = env.reset(seed=8)
    models, clocks, ended = [None] * num_envs, np.zeros(num_envs, int), np.ones(num_envs, bool)
    for _ in range(num_steps):
        state = env.get_state()
        for n in range(num_envs):
            if ended[n]:
                models[n], clocks[n] = make_model(world, int(state.level[n]), state.rows[n]), 0
            planes, vector = models[n].observation()
            assert (observations["planes"][n] == planes).all()
            assert world.vector_names == () or (observations["vector"][n] == vector).all()
        actions = rng.integers(0, world.num_actions, num_envs)
        observations, reward, terminated, truncated, infos = env.step(actions)
        over = state.pending
        for n in np.flatnonzero(~over):
            key = episode_key(state.seed[n], state.env[n], state.episode[n])
            draws = [uniform(key, clocks[n], channel) for channel in range(world.num_channels)]
            clocks[n] += 1
            value, event, end = models[n].step(int(actions[n]), draws)
            assert reward[n] == pytest.approx(value, abs=1e-12) and infos["event"][n] == event
            if hasattr(models[n], "components"):
                paid = dict(zip(world.component_names, infos["components"][n].tolist(), strict=True))
                assert paid == pytest.approx(models[n].components, abs=1e-12)
            assert terminated[n] == end and truncated[n] == (not end and clocks[n] >= world.time_limit)
        ended = over
