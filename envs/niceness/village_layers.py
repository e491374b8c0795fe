"""All states of a level of the village in layers, and what becomes of people's tastes in them.

Shape key: S states, A actions, T steps, P persons, N rows.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from envs.errors import UserError, require_integer
from envs.layers import Flags, Layers, Play, RowPolicy, list_layers, play
from envs.niceness.village import world
from envs.niceness.village_config import THETAS, VillageConfig
from envs.niceness.village_row import ACTIONS, WAIT, thetas_of
from envs.rows import World
from envs.states import Floats, Rows


def list_village(config: VillageConfig, *, twin: bool, level: int = 0, start: int | None = None) -> Layers:
    """All states of one level, with the twin or of the real half alone, from one start or from all.

    Raises:
        UserError: A level or a start that there is not, or more states than can be listed.
    """
    plain = dataclasses.replace(config, objective="RT", twin=twin, show_natural=config.show_natural and twin)
    village = world(plain)
    return list_layers(village, first_rows(village, level=level, start=start))


def first_rows(village: World, *, level: int, start: int | None) -> Rows:
    """The rows in which episodes of a level begin, from one start or from all; UserError where there is no such one."""
    levels = [(block.first, block.first + block.count - 1) for block in map(village.levels, ("train", "test"))]
    require_integer("level", level, low=0, high=2**62)
    if not any(first <= level <= last for first, last in levels):
        known = " and ".join(f"{first} to {last}" for first, last in levels)
        raise UserError(f"level is {level!r}, allowed are {known}; choose one of these, or raise num_levels.")
    if start is not None:
        require_integer("start", start, low=0, high=village.num_starts - 1)
    return village.begin(level, np.arange(village.num_starts) if start is None else [start])


def inert_policy(rows: Rows) -> Floats:
    """The policy that does nothing, float64[N, A]."""
    return np.tile(np.eye(len(ACTIONS))[WAIT], (len(rows), 1))


def any_of(layers: Layers, sets: Flags) -> RowPolicy:
    """The policy that takes all actions of sets bool[S, A] alike; none of the sets where it comes may be empty."""

    def act(rows: Rows) -> Floats:
        chosen = sets[layers.find(rows)]
        probs: Floats = chosen / chosen.sum(axis=1, keepdims=True)
        return probs

    return act


def play_from(layers: Layers, policy: RowPolicy, start: int) -> Play:
    """Play from the start in this place among the starts."""
    law = np.zeros(len(layers.start_state))
    law[start] = 1.0
    return play(layers, policy, start_probability=law)


def theta_law(layers: Layers, played: Play) -> Floats:
    """P(θ_t = k) as float64[T + 1, P, 3], over real halves."""
    people = layers.world.config.num_persons
    law = np.zeros((layers.num_steps + 1, people, len(THETAS)))
    for t in range(layers.num_steps + 1):
        span = layers.layer(t)
        for i, thetas in enumerate(thetas_of(layers.rows[span], people).T):
            law[t, i] = np.bincount(thetas, weights=played.visits[span], minlength=len(THETAS))
    return law
