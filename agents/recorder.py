"""The recorder: a frozen D plays whole episodes, which all arms of a comparison then learn their V from.

Shape key: n steps, E episodes, S row size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.actors import PolicyActor
from agents.agent import AlphaAgent
from agents.environments import discount_of, world_of
from agents.playing import Played, play_batches
from envs.episodes import Episodes, concatenate
from envs.rows import World


def record_episodes(
    agent: AlphaAgent,
    env_id: str,
    *,
    num_episodes: int,
    seed: int,
    uniform_share: float = 0.05,
    options: Mapping[str, Any] | None = None,
    split: str = "train",
    discount: float | None = None,
) -> Episodes:
    """Play `num_episodes` whole episodes with a ~ (1 − u)·D + u/A.

    No length of episode is preferred (see `agents.playing.play_batches`).

    Args:
        agent: D∘E is read; its weights do not change.
        env_id: Gymnasium id.
        num_episodes: E ≥ 1.
        seed: of levels, starts, chance and actions. The episodes do not depend on how they are batched.
        uniform_share: u in [0, 1].
        options: of the world, or of `gymnasium.make`.
        split: "train" or "test" levels (our worlds only).
        discount: recorded with the episodes; None for the world's own, 0.99 for foreign envs.

    Returns:
        E episodes; with rows, components, events and contexts where the env is a world of ours.

    Raises:
        UserError: an unknown id, option or split.
        NonFiniteError: a reward, an observation or D's logits are NaN or infinite.
    """
    world = world_of(env_id, options)
    batches = play_batches(
        env_id, agent.spec,
        lambda env, first: PolicyActor(agent, seed=seed, uniform_share=uniform_share, first_env=first),
        num_episodes=num_episodes, seed=seed, name="recorder", options=options, split=split, keep=True,
    )  # fmt: skip
    return concatenate([
        episodes_from(played, world, env_id=env_id, options=options, discount=discount) for played in batches
    ])


def episodes_from(
    played: Played,
    world: World | None,
    *,
    env_id: str,
    options: Mapping[str, Any] | None = None,
    discount: float | None = None,
) -> Episodes:
    """Make `Episodes` of what was played; a world gives the observations of kept rows.

    Args:
        played: with observations or, given a world, with rows.
        world: the world that was played, None for a foreign env.
        env_id: Gymnasium id.
        options: the env's options; for a world all fields of its config are recorded.
        discount: None for the world's own, 0.99 for foreign envs.
    """
    observations, finals = played.observations, played.final_observations
    known = dict(options or {})
    if world is not None and played.rows is not None and played.final_rows is not None:
        observations, finals = world.observe(played.rows), world.observe(played.final_rows)
        known = dataclasses.asdict(world.config)
    return Episodes(
        observations=observations, final_observations=finals, actions=played.actions, rewards=played.rewards,
        events=played.events, contexts=played.contexts, terminated=played.terminated, truncated=played.truncated,
        offsets=played.offsets, levels=played.levels.astype(np.int64), env_id=env_id, options=known,
        discount=discount_of(env_id, options) if discount is None else discount, components=played.components,
        rows=played.rows, final_rows=played.final_rows, final_contexts=played.final_contexts,
    )  # fmt: skip
