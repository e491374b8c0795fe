"""Where demonstrations come from: the exact expert of a world, a search over copies, or a file of episodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.config import TrainConfig
from agents.seeding import numpy_generator
from envs.demonstrations import (
    Demonstrator,
    demonstrate_mixture,
    expert_policy,
    pays_before_the_end,
    search_demonstrations,
    table_policy,
)
from envs.episodes import Episodes, concatenate, load_episodes
from envs.errors import UserError, cause
from envs.registry import find_family, is_world_id, world_id
from envs.rows import World
from envs.tabular import enumerate_world

MAX_NODES = 20_000


def find_demonstrations(
    env_id: str, config: TrainConfig, *, world: World | None, options: Mapping[str, Any]
) -> Episodes | str:
    """Demonstrations as `config.demonstrations` says, or for "auto" a sentence that says why there are none.

    Args:
        env_id: Gymnasium id.
        config: `seed`, `num_demonstrations` and all that begins with `demonstration` are read.
        world: the world of the id, None for a foreign one.
        options: of the world, or of `gymnasium.make`.

    Raises:
        UserError: "expert" without a kernel or in a world that cannot be solved, "search" where no plan is found, or a
            file that cannot be read or is of another environment.
    """
    asked = config.demonstrations
    if world is None or asked not in ("auto", "expert"):
        _refuse_unread(env_id, config, world=world)
    if asked not in ("auto", "expert", "search"):
        return _of_file(asked, env_id)
    if asked == "expert" and world is None:
        raise UserError(f"demonstrations is 'expert', but {env_id} has no kernel to solve; use 'search' or a file.")
    try:
        return _searched(env_id, config, options) if world is None or asked == "search" else _exact(world, config)
    except UserError as error:
        if asked == "search":
            raise
        if asked == "auto":
            return f"no expert was found ({cause(error)})"
        raise UserError(
            f"demonstrations is 'expert', but {env_id} cannot be solved ({cause(error)}); choose options with fewer "
            "states or outcomes, a file of episodes, or 'auto', which then leaves imitation out."
        ) from error


def demonstrators_of(config: TrainConfig) -> tuple[Demonstrator, ...]:
    """Who demonstrates: one expert with the noise and the temperature, or three experts by their shares."""
    noise, temperature = config.demonstration_noise, config.demonstration_temperature
    if not config.demonstration_shares:
        return (Demonstrator(1.0, noise, temperature),)
    kinds = ((0.0, 0.0), (noise, 0.0), (0.0, temperature))
    return tuple(
        Demonstrator(share, *kind) for share, kind in zip(config.demonstration_shares, kinds, strict=True) if share > 0
    )


def _exact(world: World, config: TrainConfig) -> Episodes:
    demonstrators, seed, levels = demonstrators_of(config), config.seed, world.levels("train")
    shown = demonstrate_mixture(world, levels, demonstrators, num_episodes=config.num_demonstrations, seed=seed)
    if not any(one.noise > 0.0 for one in demonstrators):
        return concatenate(shown)
    return concatenate([
        corrected(part, world, seed=seed, temperature=one.temperature)
        if one.noise > 0.0
        else dataclasses.replace(part, labels=part.actions)
        for one, part in zip(demonstrators, shown, strict=True)
    ])


def _refuse_unread(env_id: str, config: TrainConfig, *, world: World | None) -> None:
    """Refuse settings of exact experts where none plays; noise, which presets give our worlds, is let pass there."""
    names = ["demonstration_temperature", "demonstration_shares"] + ["demonstration_noise"] * (world is None)
    for name in names:
        if value := getattr(config, name):
            raise UserError(
                f"{name} is {value}, but it is of exact experts, and what demonstrates {env_id} is a search or a file; "
                "leave it out."
            )


def corrected(episodes: Episodes, world: World, *, seed: int, temperature: float = 0.0) -> Episodes:
    """The same episodes with, as labels, what the expert would have done in each state without noise.

    Imitated after noisy play, D knows the way back from states that no expert visits, and learns none of the noise.
    After Laskey et al. (2017), arXiv 1703.09327 (noise injection), with labels as in Ross et al. (2011), arXiv
    1011.0686.

    Args:
        episodes: with rows.
        world: the world that was played.
        seed: of the expert's choices.
        temperature: of the expert; at 0 it chooses among equally good actions alone.
    """
    if episodes.rows is None:
        raise UserError("Episodes without rows cannot be corrected; record them in a world of this package.")
    mdp = enumerate_world(world, np.unique(episodes.levels))
    probs = table_policy(mdp, expert_policy(mdp, temperature=temperature))(episodes.rows)
    draws = numpy_generator(seed, "demonstrations", "labels").random((len(probs), 1))
    return dataclasses.replace(episodes, labels=(probs.cumsum(axis=1)[:, :-1] <= draws).sum(axis=1))


def _searched(env_id: str, config: TrainConfig, options: Mapping[str, Any]) -> Episodes:
    def search(num_episodes: int) -> Episodes:
        found = search_demonstrations(
            env_id, num_episodes=num_episodes, seed=config.seed, max_nodes=MAX_NODES, options=dict(options)
        )
        if pays_before_the_end(found):
            raise UserError(f"{env_id} pays before the end, so a shortest plan to the end is no expert")
        return found

    # One plan shows whether plans are of use here; hundreds can take a minute.
    search(1)
    return search(config.num_demonstrations)


def _of_file(path: str, env_id: str) -> Episodes:
    episodes = load_episodes(path)
    if _family_id(episodes.env_id) != _family_id(env_id):
        raise UserError(f"The episodes in '{path}' are of {episodes.env_id}, not of {env_id}; record some there.")
    return episodes


def _family_id(env_id: str) -> str:
    """The id of the family that a variant of ours belongs to; a foreign id stands for itself."""
    return world_id(find_family(env_id)[0]) if is_world_id(env_id) else env_id
