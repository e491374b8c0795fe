"""Demonstrations in somebody else's environment: plans of `envs.planning`, followed and recorded in the real thing.

The assumptions of `envs.planning` apply. What is recorded is what the environment itself showed and paid, clocks
running; at every step its state is compared with the plan's, and an environment that leaves the plan is refused.

Shapes: E episodes, n steps of all episodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from envs.archives import Arrays
from envs.episodes import Episodes
from envs.errors import UserError, require_integer
from envs.foreign_state import Env
from envs.planning import Planner, find_clocks
from envs.recording import named_generator


@dataclass(frozen=True)
class _Episode:
    """One episode as lists; there is one observation more than there are actions."""

    observations: list[Arrays]
    actions: list[int]
    rewards: list[float]


def search_demonstrations(
    env_id: str,
    *,
    num_episodes: int,
    seed: int,
    max_nodes: int = 20_000,
    discount: float = 0.99,
    options: Mapping[str, Any] | None = None,
) -> Episodes:
    """Record optimal episodes of a small deterministic environment that is registered in Gymnasium.

    The goal is a termination with positive reward, and the shortest plan counts as optimal, as it is where the reward
    falls with the steps taken. Among optimal actions each step chooses uniformly, by a stream of its own. The optimal
    return of an episode is what `episode_returns` gives for it.

    Args:
        env_id: Gymnasium id; the package that registers it must have been imported.
        num_episodes: E >= 1.
        seed: Of the resets and of the choices; equal seeds give equal episodes.
        max_nodes: States that the search for one plan may see.
        discount: Recorded with the episodes; the environment has none of its own.
        options: Keyword arguments of `gymnasium.make`.

    Returns:
        E episodes that end at the goal; `levels` are the seeds of the resets. Text in observations is dropped, the
        parts of nested ones are named by their path ("a.b"), and one that is an array is named "observation".

    Raises:
        UserError: An unknown id, actions that are not Discrete, a state that Python cannot see, no plan within
            `max_nodes`, a plan longer than the time limit, or an environment that is not deterministic.
    """
    require_integer("num_episodes", num_episodes, low=1, high=2**31)
    require_integer("seed", seed, low=0, high=2**63 - 1)
    require_integer("max_nodes", max_nodes, low=1, high=2**31)
    env = _make(env_id, dict(options or {}))
    try:
        reset_seeds = named_generator(seed, "resets").integers(2**31, size=num_episodes).tolist()
        actions = _actions(env)
        env.reset(seed=reset_seeds[0])
        planner = Planner(actions, find_clocks(env, actions, named_generator(seed, "trials")), max_nodes=max_nodes)
        choices = named_generator(seed, "choices")
        parts = [_record(env, planner, choices, reset_seed=s) for s in reset_seeds]
    except UserError as error:
        raise UserError(f"{env_id}: {error}") from error
    finally:
        env.close()
    return _join(parts, reset_seeds, {"env_id": env_id, "options": dict(options or {}), "discount": discount})


def pays_before_the_end(plans: Episodes) -> bool:
    """Whether any step but the last of an episode earns; then the shortest plan to the end may not be the best one."""
    is_last = np.zeros(plans.num_steps, np.bool_)
    is_last[plans.offsets[1:] - 1] = True
    return bool((plans.rewards[~is_last] > 0).any())


def _make(env_id: str, options: dict[str, Any]) -> Env:
    """The environment, without the checker that would alter it at its first step."""
    try:
        return gymnasium.make(env_id, disable_env_checker=True, **options)
    except (gymnasium.error.Error, TypeError) as error:
        raise UserError(f"gymnasium.make({env_id!r}) failed: {error}; import the package that registers it.") from error


def _actions(env: Env) -> list[int]:
    """All actions of a Discrete space."""
    space = env.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UserError(f"the action space is {space}; plans need Discrete actions.")
    return list(range(int(space.start), int(space.start + space.n)))


def _record(env: Env, planner: Planner, choices: np.random.Generator, *, reset_seed: int) -> _Episode:
    """Follow the plan for one episode."""
    observation, _ = env.reset(seed=reset_seed)
    episode = _Episode([dict(_parts(observation))], [], [])
    planned: bytes | None = planner.key(env)
    while planned is not None:
        step = len(episode.actions)
        if planner.key(env) != planned:
            raise UserError(f"step {step} led to another state than planned; plans need a deterministic environment.")
        moves = planner.optimal_moves(env)
        move = moves[choices.integers(len(moves))]
        observation, reward, terminated, truncated, _ = env.step(move.action)
        if terminated != move.terminated:
            raise UserError(f"step {step + 1} ended otherwise than planned; plans need a deterministic environment.")
        if truncated and not terminated:
            raise UserError(f"the time limit cuts the shortest plan after {step + 1} steps; raise the limit.")
        episode.observations.append(dict(_parts(observation)))
        episode.actions.append(move.action)
        episode.rewards.append(float(reward))
        planned = move.target
    return episode


def _parts(observation: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Arrays of an observation by path, without text."""
    if isinstance(observation, Mapping | tuple):
        items = observation.items() if isinstance(observation, Mapping) else enumerate(observation)
        for key, part in items:
            yield from _parts(part, f"{name}.{key}" if name else str(key))
    elif not isinstance(observation, str):
        yield name or "observation", np.array(observation)


def _stacked(observations: list[Arrays]) -> Arrays:
    """Arrays with the observations along a new first axis."""
    return {name: np.stack([observation[name] for observation in observations]) for name in observations[0]}


def _join(parts: list[_Episode], reset_seeds: list[int], known: dict[str, Any]) -> Episodes:
    """Put the recorded episodes end to end."""
    num_steps = sum(len(part.actions) for part in parts)
    return Episodes(
        observations=_stacked([seen for part in parts for seen in part.observations[:-1]]),
        final_observations=_stacked([part.observations[-1] for part in parts]),
        actions=np.array([action for part in parts for action in part.actions], np.int64),
        rewards=np.array([reward for part in parts for reward in part.rewards]),
        events=np.full(num_steps, -1),
        contexts=np.full(num_steps, -1),
        terminated=np.ones(len(parts), np.bool_),
        truncated=np.zeros(len(parts), np.bool_),
        offsets=np.cumsum([0, *(len(part.actions) for part in parts)]),
        levels=np.array(reset_seeds, np.int64),
        **known,
    )
