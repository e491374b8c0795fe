"""Vector envs by id: native ones for our worlds, Gymnasium's synchronous ones for all others, seeded without overlap.

Env k of a native batch draws from (seed, first_env + k); env k of a foreign one has its own spawned seed, and each of
its episodes another one spawned from that (`agents.env_state.SeededEpisodes`).
Gymnasium's default, seed + k, would let two runs with neighbouring seeds share all but one of their envs.
"""

from __future__ import annotations

import contextlib
import importlib
import traceback
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from agents.agent import num_actions_of
from agents.env_state import SeededEpisodes
from agents.observations import ObservationSpec
from agents.seeding import derive_seed, spawn_seeds
from agents.streams import EnvStream
from envs.errors import UserError, nearest
from envs.registry import is_world_id, make_world
from envs.rows import World
from envs.vector import GridVectorEnv

Vector = VectorEnv[Any, Any, Any]
DEFAULT_DISCOUNT = 0.99
DEFAULT_TIME_LIMIT = 4000
"""Steps of an episode in an env that is registered without a limit, where a policy may never come to an end. MiniGrid's
own limits, which its registry does not tell, go up to 3600."""
PACKAGES = MappingProxyType({"MiniGrid-": "minigrid", "BabyAI-": "minigrid"})


def world_of(env_id: str, options: Mapping[str, Any] | None = None) -> World | None:
    """The world that an id of ours names, None for a foreign id; raises UserError for unknown options."""
    if not is_world_id(env_id):
        return None
    return make_world(env_id, **dict(options or {}))


def pinned(env_id: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The options as a run keeps them: with the text of a file that they name (`WorldConfig.pinned`)."""
    world = world_of(env_id, options)
    return {**dict(options or {}), **({} if world is None else world.config.pinned())}


def discount_of(env_id: str, options: Mapping[str, Any] | None = None) -> float:
    """The world's own γ, 0.99 for foreign envs, which have none."""
    world = world_of(env_id, options)
    return DEFAULT_DISCOUNT if world is None else world.discount


def given_time_limit(env_id: str, options: Mapping[str, Any] | None = None) -> int | None:
    """The time limit that `make_vector` gives an env which is registered without one; None where it has its own."""
    if is_world_id(env_id) or (options or {}).get("max_episode_steps") is not None:
        return None
    return DEFAULT_TIME_LIMIT if gymnasium.spec(env_id).max_episode_steps is None else None


def make_vector(
    env_id: str,
    num_envs: int,
    *,
    options: Mapping[str, Any] | None = None,
    split: str = "train",
    first_env: int = 0,
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
) -> Vector:
    """Build a vector env. A foreign one that has no time limit gets `DEFAULT_TIME_LIMIT`.

    Args:
        env_id: Gymnasium id; the package that registers it must have been imported.
        num_envs: N ≥ 1.
        options: the world's options, or keyword arguments of `gymnasium.make`.
        split: "train" or "test" levels (our worlds only; foreign envs differ by seed).
        first_env: index of the first env among all that share a seed (our worlds only).
        autoreset_mode: any of the three.

    Raises:
        UserError: an unknown id or option, or actions that are not Discrete.
    """
    world = world_of(env_id, options)
    if world is not None:
        levels = world.levels(split)
        return GridVectorEnv(world, num_envs, levels=levels, autoreset_mode=autoreset_mode, first_env=first_env)
    require_env(env_id)
    known, limit = dict(options or {}), given_time_limit(env_id, options)
    limited = known if limit is None else known | {"max_episode_steps": limit}
    with _options_to_blame(env_id, known, "made"):
        makers = [lambda: SeededEpisodes(make_single(env_id, limited)) for _ in range(num_envs)]
        env = SyncVectorEnv(makers, autoreset_mode=autoreset_mode)
    num_actions_of(env.single_action_space)
    return env


def describe_env(env_id: str, options: Mapping[str, Any] | None = None) -> tuple[ObservationSpec, int]:
    """What one env shows, and its number of actions; it is made and reset on trial, since options may fail there first.

    Raises:
        UserError: as `make_vector`; observations that an agent cannot take; options with which no episode begins.
    """
    env = make_vector(env_id, 1, options=options)
    try:
        spec = ObservationSpec.from_space(env.single_observation_space)
        with _options_to_blame(env_id, dict(options or {}), "reset"):
            env.reset(seed=0)
        return spec, num_actions_of(env.single_action_space)
    finally:
        env.close()


@contextlib.contextmanager
def _options_to_blame(env_id: str, options: dict[str, Any], what: str) -> Iterator[None]:
    """Refuse options that an env cannot take, whatever it raises then; without options the fault is its author's.

    Gymnasium's own errors, and the TypeError of an argument that is not known, say enough in any case.
    """
    try:
        yield
    except (gymnasium.error.Error, TypeError) as error:
        raise UserError(f"Env {env_id!r} with options {options} cannot be {what}: {_one_line(error)}") from error
    except Exception as error:
        if not options:
            raise
        # A bare `assert` says nothing, but its line of code does.
        text = _one_line(error) or traceback.extract_tb(error.__traceback__)[-1].line
        cause = f"{type(error).__name__}: {text}"
        raise UserError(f"Env {env_id!r} with options {options} cannot be {what}: {cause}") from error


def import_package_of(env_id: str) -> None:
    """Import the package that registers an id, where it is one that this project depends on."""
    for prefix, package in PACKAGES.items():
        if env_id.startswith(prefix):
            importlib.import_module(package)


def make_single(env_id: str, options: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """`gymnasium.make` without its checker, which costs time and is meant for authors of envs."""
    return gymnasium.make(env_id, disable_env_checker=True, **dict(options))


def require_env(env_id: str) -> None:
    """Refuse an id that nobody registered, or that would import a module; UserError names the nearest one."""
    if ":" in env_id:
        raise UserError(
            f"Env {env_id!r} names a module; give the id alone, and import the package first (--import of a command)."
        )
    import_package_of(env_id)
    try:
        gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        hint = nearest(env_id, gymnasium.registry)
        message = f"Env {env_id!r} is unknown to Gymnasium; import the package that registers it.{hint}"
        raise UserError(message) from error


def open_stream(env: Vector, spec: ObservationSpec, *, seed: int, name: str) -> EnvStream:
    """Reset a vector env from the stream `name` of a seed, and show it.

    Args:
        env: native or foreign.
        spec: which parts of the observations to keep.
        seed: of the run.
        name: what the episodes are for, such as "reinforce"; two names share no episode.
    """
    if isinstance(env, GridVectorEnv):
        return EnvStream(env, seeds=derive_seed(seed, name, "envs"), flatten=spec.select)
    seeds = spawn_seeds(seed, env.num_envs, name, "envs", bits=31)
    return EnvStream(env, seeds=seeds, flatten=spec.select)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
