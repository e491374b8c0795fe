"""Worlds by name, and their ids in Gymnasium's registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode

from envs.errors import UserError, nearest
from envs.rows import World
from envs.vector import GridEnv, GridVectorEnv
from envs.worlds import crossed_history, multi_need

WORLDS: dict[str, tuple[type[Any], Callable[[Any], World]]] = {
    "CrossedHistory": (crossed_history.CrossedHistoryConfig, crossed_history.world),
    "MultiNeed": (multi_need.MultiNeedConfig, multi_need.world),
}
_NAMESPACE, _VERSION = "ValueLab", "v0"


def world_id(name: str) -> str:
    """Gymnasium id of a world, for instance "ValueLab/MultiNeed-v0"."""
    return f"{_NAMESPACE}/{name}-{_VERSION}"


def make_world(name_or_id: str, **options: Any) -> World:
    """The world of a name or id with the given options.

    Args:
        name_or_id: "MultiNeed" or "ValueLab/MultiNeed-v0".
        **options: Fields of the world's config.

    Returns:
        The world.

    Raises:
        UserError: For an unknown name or option, or a value out of range.
    """
    name = name_or_id.removeprefix(f"{_NAMESPACE}/").removesuffix(f"-{_VERSION}")
    if name not in WORLDS:
        raise UserError(f"World {name_or_id!r} is unknown, known are {', '.join(WORLDS)}.{nearest(name, WORLDS)}")
    config_class, build = WORLDS[name]
    known = [field.name for field in dataclasses.fields(config_class)]
    for option in options:
        if option not in known:
            raise UserError(f"{name} has no option {option!r}, it has {', '.join(known)}.{nearest(option, known)}")
    return build(config_class(**options))


def make_env(
    world_name: str, *, split: str = "train", render_mode: str | None = None, first_env: int = 0, **options: Any
) -> GridEnv:
    """Entry point of `gymnasium.make`; options are the world's."""
    world = make_world(world_name, **options)
    return GridEnv(world, levels=world.levels(split), render_mode=render_mode, first_env=first_env)


def make_vector_env(
    world_name: str,
    num_envs: int = 1,
    *,
    split: str = "train",
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    render_mode: str | None = None,
    first_env: int = 0,
    **options: Any,
) -> GridVectorEnv:
    """Entry point of `gymnasium.make_vec`; options are the world's."""
    world = make_world(world_name, **options)
    return GridVectorEnv(
        world,
        num_envs,
        levels=world.levels(split),
        autoreset_mode=autoreset_mode,
        render_mode=render_mode,
        first_env=first_env,
    )


def register_worlds() -> None:
    """Register every world in Gymnasium, once; the engine truncates, so no id has `max_episode_steps`."""
    for name in WORLDS:
        if world_id(name) not in gymnasium.registry:
            gymnasium.register(
                world_id(name),
                entry_point="envs.registry:make_env",
                vector_entry_point="envs.registry:make_vector_env",
                kwargs={"world_name": name},
            )
