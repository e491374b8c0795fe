"""All states of a level of the village in layers, and what becomes of people's tastes in them.

Shape key: S states, A actions, T steps, P persons, N rows.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from envs.layers import Layers, Play, RowPolicy, list_layers, play
from envs.niceness.village import world
from envs.niceness.village_config import THETAS, VillageConfig
from envs.niceness.village_row import ACTIONS, WAIT, thetas_of
from envs.states import Floats, Rows


def list_village(config: VillageConfig, *, twin: bool, level: int = 0, start: int | None = None) -> Layers:
    """All states of one level, with the twin or of the real half alone, from one start or from all."""
    plain = dataclasses.replace(config, objective="RT", twin=twin, show_natural=config.show_natural and twin)
    village = world(plain)
    starts = np.arange(village.num_starts) if start is None else np.array([start])
    return list_layers(village, village.begin(level, starts))


def inert_policy(rows: Rows) -> Floats:
    """The policy that does nothing, float64[N, A]."""
    return np.tile(np.eye(len(ACTIONS))[WAIT], (len(rows), 1))


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
