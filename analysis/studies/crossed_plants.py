"""Agents that are planted on CrossedHistory, where it is known what a test must say of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from agents.seeding import numpy_generator
from analysis.predictions import predictors
from analysis.predictions.crossed_states import Rows, cues, object_distances
from analysis.predictions.lookahead import ValueFunction
from analysis.predictions.parts import Floats
from analysis.studies.yoked import world_of_run

PLANTS = MappingProxyType({"SHARD-LAW": np.exp(-2.0), "OPTIMUM": 1.0, "ANTI-LAW": 1.3})
"""Name -> what the agent bids for an object under a cue that it never met it under; 1 under its own cue."""
NOISE = 0.02


def planted_value(config: Mapping[str, Any], name: str) -> ValueFunction:
    """V of the planted agent `config["arm"]`, with fresh noise of sd 0.02 at every look, drawn from a stream `name`."""
    world, rng = world_of_run(config), numpy_generator(config["seed"], "comparison", "plant", config["arm"], name)
    pairing = np.array(world.config.pairing)
    bids = np.full((len(pairing), len(pairing)), PLANTS[config["arm"]])
    bids[np.arange(len(pairing)), pairing] = 1.0

    def value(rows: Rows) -> Floats:
        noise = NOISE * rng.normal(size=len(rows))
        states = predictors.States(object_distances(rows), cues(rows))
        return predictors.shard_values(states, bids, world.discount) + noise

    return value
