"""The recording of a D that nobody taught: D∘E learns from rewards alone, by the plain policy gradient.

An expert's demonstrations would carry the order of the objects' worth into D. What T6 asks of D is what rewards alone
teach it where each context shows two objects: Williams's REINFORCE, with a baseline and no bonus for entropy.
"""

from __future__ import annotations

from typing import Any

from agents.agent import build_agent
from agents.config import ReinforceConfig
from agents.environments import make_vector, open_stream
from agents.learner import reinforce
from agents.seeding import derive_seed
from analysis.cells import CellContext, Row, cell_function
from analysis.studies.yoked import (
    RECORDERS,
    agent_config,
    device_of,
    env_id_of,
    options_of,
    play_and_keep,
    setup_of,
    world_of_run,
)
from envs.step_buffers import observation_space
from envs.tabular import enumerate_world

NORMALISED = "@normalised"
"""End of the label of a recording whose advantages have mean 0 and deviation 1 in every gradient step."""
NUM_SAMPLED_LEVELS = 100
"""Levels all of whose states fit the centre of D's inputs, since there are no demonstrations to fit it on."""


def settings_of(label: str, num_steps: int) -> ReinforceConfig:
    """AlphaGo's plain gradient, with Adam; one step on every 1,024 steps of play."""
    return ReinforceConfig(
        objective="reinforce", num_steps=num_steps, num_envs=32, rollout_length=32, learning_rate=3e-3,
        entropy_weight=0.0, normalize_advantage=label.endswith(NORMALISED),
    )  # fmt: skip


@cell_function(RECORDERS["TwoDoors"], version=1, seconds=15.0)
def record_reinforced(context: CellContext) -> list[Row]:
    """Train D∘E by REINFORCE from random weights, and write down the episodes that it plays."""
    config, setup, world = context.config, setup_of(context.config), world_of_run(context.config)
    seed = config["seed"]
    rows = enumerate_world(world, list(range(NUM_SAMPLED_LEVELS))).rows
    agent = build_agent(
        observation_space(world), world.num_actions, agent_config(world, setup, head="MONO", regime="scratch"),
        seed=derive_seed(seed, "comparison", "agent"), sample=world.observe(rows),
    ).to(device_of(config))  # fmt: skip
    settings = settings_of(config["world"], setup.reinforce_steps)
    options: dict[str, Any] = options_of(config["world"], seed)
    env = make_vector(env_id_of(config), settings.num_envs, options=options)
    stream = open_stream(env, agent.spec, seed=seed, name="reinforce")
    agent, _ = reinforce(agent, stream, settings, discount=world.discount, seed=seed)
    return [play_and_keep(context, agent)]
