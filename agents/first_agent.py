"""The agent that a run begins with: its settings completed from the world, its encoding fitted to what it will see."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from agents.agent import AlphaAgent, build_agent, num_actions_of
from agents.config import AgentConfig
from agents.environments import describe_env, make_vector, open_stream
from agents.observations import ObservationSpec
from agents.run_folder import RunSettings
from agents.seeding import numpy_generator
from envs.episodes import Episodes
from envs.errors import UserError
from envs.rows import World

NUM_ENVS, NUM_STEPS = 8, 64


def first_agent(run: RunSettings, world: World | None, *, demonstrations: Episodes | None) -> AlphaAgent:
    """Build the agent, on the CPU, with levels, statistics and centre of its encoding from what demonstrations show.

    Args:
        run: its environment and settings.
        world: the world of that environment, None for a foreign one.
        demonstrations: without them a few hundred steps of random play take their place.
    """
    spec, num_actions = describe_env(run.env_id, run.options)
    sample = _random_play(run, spec) if demonstrations is None else demonstrations.observations
    return build_agent(spec, num_actions, _settings(run, world), seed=run.config.seed, sample=sample)


def require_trainable(run: RunSettings, world: World | None) -> ObservationSpec:
    """Refuse before anything is written what no agent can be built for (UserError); returns the observations."""
    spec, num_actions = describe_env(run.env_id, run.options)
    build_agent(spec, num_actions, _settings(run, world), seed=run.config.seed)
    if "search" in run.config.stages:
        if world is None:
            raise UserError(
                f"Stage search looks ahead with a world's kernel, which {run.env_id} has not; leave it out of --stages."
            )
        world.require_expandable()
    return spec


def _settings(run: RunSettings, world: World | None) -> AgentConfig:
    """The agent's settings, with the world's numbers of contexts and events, and its reward components."""
    settings = run.config.agent
    if world is None:
        return settings
    num_contexts, num_events = len(world.context_names), len(world.event_names)
    weights = tuple(float(weight) for weight in world.reward_weights)
    return dataclasses.replace(
        settings, num_contexts=num_contexts, num_events=num_events, component_weights=weights
    )


def _random_play(run: RunSettings, spec: ObservationSpec) -> dict[str, Any]:
    """Observations [n, ...] of random play."""
    env = make_vector(run.env_id, NUM_ENVS, options=run.options)
    stream = open_stream(env, spec, seed=run.config.seed, name="sample")
    rng = numpy_generator(run.config.seed, "sample", "actions")
    seen = [stream.observations]
    for _ in range(NUM_STEPS):
        stream.step(rng.integers(num_actions_of(env.single_action_space), size=NUM_ENVS))
        seen.append(stream.observations)
    env.close()
    return {name: np.concatenate([one[name] for one in seen]) for name in seen[0]}
