"""Where demonstrations come from: the exact expert of a world, a search over copies, or a file of episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.config import TrainConfig
from envs.demonstrations import demonstrate, search_demonstrations
from envs.episodes import Episodes, load_episodes
from envs.errors import UserError
from envs.rows import World

MAX_NODES = 20_000


def find_demonstrations(
    env_id: str, config: TrainConfig, *, world: World | None, options: Mapping[str, Any]
) -> Episodes | str:
    """Demonstrations as `config.demonstrations` says, or for "auto" a sentence that says why there are none.

    Args:
        env_id: Gymnasium id.
        config: `demonstrations`, `num_demonstrations` and `seed` are read.
        world: the world of the id, None for a foreign one.
        options: of the world, or of `gymnasium.make`.

    Raises:
        UserError: "expert" without a kernel, "search" where no plan is found, or a file that cannot be read or is of
            another environment.
    """
    asked, seed = config.demonstrations, config.seed
    if asked not in ("auto", "expert", "search"):
        return _of_file(asked, env_id)
    if world is not None and asked != "search":
        noise, count = config.demonstration_noise, config.num_demonstrations
        return demonstrate(world, world.levels("train"), num_episodes=count, seed=seed, noise=noise)
    if asked == "expert":
        raise UserError(f"demonstrations is 'expert', but {env_id} has no kernel to solve; use 'search' or a file.")
    try:
        return _searched(env_id, config, options)
    except UserError as error:
        if asked == "search":
            raise
        return f"no expert was found ({error})"


def _searched(env_id: str, config: TrainConfig, options: Mapping[str, Any]) -> Episodes:
    found = search_demonstrations(
        env_id, num_episodes=config.num_demonstrations, seed=config.seed, max_nodes=MAX_NODES, options=dict(options)
    )
    last = np.zeros(found.num_steps, dtype=bool)
    last[found.offsets[1:] - 1] = True
    if (found.rewards[~last] > 0).any():
        raise UserError(f"{env_id} pays before the end, so a shortest plan to the end is no expert")
    return found


def _of_file(path: str, env_id: str) -> Episodes:
    episodes = load_episodes(path)
    if episodes.env_id != env_id:
        raise UserError(f"The episodes in '{path}' are of {episodes.env_id}, not of {env_id}; record some there.")
    return episodes
