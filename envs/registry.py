"""Worlds by name, and their ids in Gymnasium's registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode

from envs.errors import UserError, nearest
from envs.family import Family, Options
from envs.niceness import case_world, village
from envs.rows import World
from envs.single import GridEnv
from envs.vector import GridVectorEnv
from envs.worlds import (
    corner_maze,
    crossed_history,
    decorrelated_maze,
    diamond_ghost,
    dish_maze,
    fruit,
    gem_shape,
    keys_and_chests,
    multi_need,
    two_doors,
)

WORLDS: dict[str, Family] = {
    "Case": case_world.CASE,
    "CornerMaze": corner_maze.FAMILY,
    "CrossedHistory": crossed_history.FAMILY,
    "DecorrelatedMaze": decorrelated_maze.FAMILY,
    "DiamondGhost": diamond_ghost.FAMILY,
    "DishMaze": dish_maze.FAMILY,
    "FruitTask": fruit.FAMILY,
    "GemShape": gem_shape.FAMILY,
    "KeysAndChests": keys_and_chests.FAMILY,
    "MultiNeed": multi_need.FAMILY,
    "Triad": case_world.TRIAD,
    "TwoDoors": two_doors.FAMILY,
    "Village": village.FAMILY,
}
_NAMESPACE, _VERSION = "ValueLab", "v0"


def world_id(name: str) -> str:
    """Gymnasium id of a family or of a variant, for instance "ValueLab/MultiNeed-v0"."""
    return f"{_NAMESPACE}/{name}-{_VERSION}"


def world_names() -> Iterator[str]:
    """All names that have an id: every family, and behind it its variants, such as "MultiNeed-5x5"."""
    for name, family in WORLDS.items():
        yield name
        yield from (f"{name}-{variant}" for variant in family.variants)


def is_world_id(env_id: str) -> bool:
    """Whether an id is one of ours."""
    return env_id in map(world_id, world_names())


def find_family(name_or_id: str) -> tuple[str, Options]:
    """The family that a name or id belongs to, and the options that the name stands for.

    Raises:
        UserError: For an unknown name, with the nearest known one.
    """
    name = name_or_id.removeprefix(f"{_NAMESPACE}/").removesuffix(f"-{_VERSION}")
    family, _, variant = name.partition("-")
    if family in WORLDS and not variant:
        return family, {}
    if family in WORLDS and variant in WORLDS[family].variants:
        return family, WORLDS[family].variants[variant]
    known = [each for each in world_names() if each.partition("-")[0] == family] or list(WORLDS)
    hint = nearest(name, world_names())
    raise UserError(
        f"World {name_or_id!r} is unknown, known are {', '.join(known)}; choose one, `valuelab envs` lists all.{hint}"
    )


def make_world(name_or_id: str, **options: Any) -> World:
    """The world of a name or id with the given options.

    Args:
        name_or_id: "MultiNeed", "MultiNeed-5x5" or "ValueLab/MultiNeed-5x5-v0".
        **options: Fields of the world's config; they go before what a variant's name stands for.

    Returns:
        The world.

    Raises:
        UserError: For an unknown name or option, or a value out of range.
    """
    name, named = find_family(name_or_id)
    family = WORLDS[name]
    known = [field.name for field in dataclasses.fields(family.config)]
    understood = family.config.understood({**named, **options})
    for option in understood:
        if option not in known:
            hint = nearest(option, known)
            raise UserError(f"{name} has no option {option!r}, it has {', '.join(known)}; choose one.{hint}")
    return family.build(family.config(**understood))


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
    """Register every name in Gymnasium, once; the engine truncates, so no id has `max_episode_steps`."""
    for name in world_names():
        if world_id(name) not in gymnasium.registry:
            gymnasium.register(
                world_id(name),
                entry_point="envs.registry:make_env",
                vector_entry_point="envs.registry:make_vector_env",
                kwargs={"world_name": name},
            )
