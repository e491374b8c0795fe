"""States of held-out levels, and what every unit of a fitted V contributes to its value there.

Shapes: N states, S row size, U units.
"""

from __future__ import annotations

import numpy as np
import torch

from agents.agent import AlphaAgent
from agents.seeding import derive_seed, numpy_generator
from analysis.predictions.parts import Floats, Ints
from envs.rows import Levels, World
from envs.tabular import TabularMDP, enumerate_world

NUM_STATES = 4096
NUM_LEVELS = 40


def held_out_table(world: World, *, num_levels: int) -> TabularMDP:
    """All states of some held-out levels."""
    return enumerate_world(world, Levels(world.levels("test").first, num_levels))


def cluster_seed(seed: int) -> int:
    """What seeds the clusters of units, and random partitions, in the run of a seed: an integer below 2^31."""
    return derive_seed(seed, "comparison", "clusters", bits=31)


def held_out_states(world: World, *, seed: int) -> tuple[np.ndarray, Ints]:
    """4,096 states drawn from all states of some held-out levels: rows int16[N, S] and contexts int64[N]."""
    rows = held_out_table(world, num_levels=NUM_LEVELS).rows
    rng = numpy_generator(seed, "comparison", "held-out states")
    rows = rows[rng.choice(len(rows), size=min(NUM_STATES, len(rows)), replace=False)]
    return rows, world.context_of(rows)


@torch.no_grad()
def unit_contributions(agent: AlphaAgent, world: World, rows: np.ndarray) -> Floats:
    """u_j(s) of every unit of V's last hidden layer, float[N, U]; their sum plus the bias is V."""
    context = torch.from_numpy(world.context_of(rows))
    return agent.value(world.observe(rows), context=context.to(agent.device)).unit_contributions.double().cpu().numpy()
