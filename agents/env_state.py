"""What the envs of a batch need to go on exactly where they were.

Ours have a state (`envs.states.EnvState`). An environment that somebody else wrote has none that could be stored, but
an episode of it follows from the seed of its reset and from the actions since, if it is deterministic, and both are
small: every episode gets a seed of its own, and is played again. What it paid and what it shows are stored beside them,
so that an env which does not repeat itself is found out and refused.

Shape key: N envs, n steps of all episodes that are under way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array
from numpy.typing import NDArray

from agents.seeding import derive_seed
from envs.errors import UserError
from envs.foreign_state import value_key
from envs.states import EnvState
from envs.vector import GridVectorEnv

Arrays = dict[str, NDArray[Any]]


def env_state(env: Any, shown: Arrays) -> Arrays:
    """The state of a batch of envs, as arrays by name.

    Args:
        env: native, or made by `agents.environments.make_vector` with autoreset mode DISABLED, in which no env is left
            waiting for a reset.
        shown: the observations that it shows now, arrays [N, ...].

    Returns:
        For a native env the fields of its `EnvState`; else first_seed, episode and lengths int64[N], actions int64[n],
        rewards float64[n], and shown uint8[N, 16], a digest of each observation.

    Raises:
        UserError: any other env.
    """
    if isinstance(env, GridVectorEnv):
        return dict(vars(env.get_state()))
    players = _players(env)
    return {
        "first_seed": np.array([player.first_seed for player in players], np.int64),
        "episode": np.array([player.episode for player in players], np.int64),
        "lengths": np.array([len(player.actions) for player in players], np.int64),
        "actions": np.concatenate([np.array(player.actions, np.int64) for player in players]),
        "rewards": np.concatenate([np.array(player.rewards, np.float64) for player in players]),
        "shown": _digests(shown, len(players)),
    }


def restore_env(env: Any, state: Mapping[str, NDArray[Any]], *, flatten: Callable[[Any], Arrays]) -> Arrays:
    """Bring envs to where equal ones were; returns what they show then, arrays [N, ...].

    Args:
        env: as for `env_state`, after its first reset.
        state: what `env_state` returned.
        flatten: makes a flat dict of arrays out of what the env shows.

    Raises:
        UserError: any other env, or one that does not repeat itself.
    """
    if isinstance(env, GridVectorEnv):
        return flatten(env.set_state(EnvState(**state)))
    players = _players(env)
    ends = np.cumsum(state["lengths"])[:-1]
    parts = zip(np.split(state["actions"], ends), np.split(state["rewards"], ends), strict=True)
    singles = [
        player.replay(int(state["first_seed"][k]), int(state["episode"][k]), actions=actions, rewards=rewards)
        for k, (player, (actions, rewards)) in enumerate(zip(players, parts, strict=True))
    ]
    space = env.single_observation_space
    empty: Any = create_empty_array(space, n=len(players))
    shown = flatten(concatenate(space, singles, empty))
    differs = (_digests(shown, len(players)) != state["shown"]).any(axis=1)
    if differs.any():
        k = int(np.flatnonzero(differs)[0])
        raise players[k].refusal(f"after {state['lengths'][k]} steps it shows something else")
    return shown


class SeededEpisodes(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gives every episode a seed of its own, and remembers what has happened in the present one.

    The episode that `reset(seed=s)` begins has seed s; the k-th one after it has 31 bits spawned from s and k.

    Attributes:
        first_seed: s, None where the env was never given a seed.
        episode: k.
        actions: taken in this episode.
        rewards: that they brought.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Wrap an env that has not been reset."""
        super().__init__(env)
        self.first_seed: int | None = None
        self.episode = 0
        self.actions: list[Any] = []
        self.rewards: list[float] = []

    @property
    def episode_seed(self) -> int | None:
        """The seed of the present episode."""
        if self.first_seed is None or self.episode == 0:
            return self.first_seed
        return derive_seed(self.first_seed, "episode", self.episode, bits=31)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the episode of a seed, or the next one of the seed that was given last."""
        self.first_seed, self.episode = (self.first_seed, self.episode + 1) if seed is None else (int(seed), 0)
        self.actions, self.rewards = [], []
        # Where envs are reset by a mask, Gymnasium's batch hands them an empty dict in place of None.
        return self.env.reset(seed=self.episode_seed, options=options or None)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and remember."""
        shown, reward, terminated, truncated, info = self.env.step(action)
        self.actions.append(action)
        self.rewards.append(float(reward))
        return shown, reward, terminated, truncated, info

    def replay(self, first_seed: int, episode: int, *, actions: NDArray[Any], rewards: NDArray[Any]) -> Any:
        """Play an episode again as far as it had come; returns the observation that it shows then.

        Raises:
            UserError: it pays something else than it did, or comes to an end.
        """
        self.first_seed, self.episode = first_seed, episode - 1
        shown, _ = self.reset()
        for step, (action, paid) in enumerate(zip(actions, rewards, strict=True)):
            shown, reward, terminated, truncated, _ = self.step(action)
            if float(reward) != paid:
                raise self.refusal(f"step {step} pays {reward}, where it paid {paid}")
            if terminated or truncated:
                raise self.refusal(f"step {step} is the last, where it was not")
        return shown

    def refusal(self, difference: str) -> UserError:
        """The error for an env that does not repeat itself."""
        name = type(self.unwrapped).__name__ if self.env.spec is None else self.env.spec.id
        return UserError(
            f"{name} does not repeat itself: in an episode that was played again from reset seed {self.episode_seed} "
            f"with the same actions, {difference}; so this run cannot be resumed exactly. Train anew; "
            f"`valuelab envs check {name}` looks for the cause."
        )


def _players(env: Any) -> list[SeededEpisodes]:
    """The envs of a batch that can be played again; UserError for any other batch."""
    players = [player for player in getattr(env, "envs", ()) if isinstance(player, SeededEpisodes)]
    is_whole = isinstance(env, SyncVectorEnv) and len(players) == env.num_envs
    if not is_whole or env.metadata["autoreset_mode"] != AutoresetMode.DISABLED:
        raise UserError(
            f"The state of {type(env).__name__} cannot be kept; make it by agents.environments.make_vector with "
            "autoreset_mode=AutoresetMode.DISABLED, or train without a keeper."
        )
    return players


def _digests(shown: Arrays, num_envs: int) -> NDArray[np.uint8]:
    keys = [value_key({name: array[k] for name, array in shown.items()}) for k in range(num_envs)]
    return np.frombuffer(bytearray(b"".join(keys)), np.uint8).reshape(num_envs, -1)
