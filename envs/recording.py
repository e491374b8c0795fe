"""Play a policy that reads rows in a world, and record whole episodes.

Episode e is the first episode of env e of `seed`, so the record does not depend on how many episodes are played side by
side, and every env plays exactly one: counting the first episodes that end would favour short ones.

Shapes: N rows, A actions, E episodes, n steps of all episodes.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from envs.archives import Arrays
from envs.episodes import Episodes, concatenate
from envs.errors import require_integer
from envs.registry import world_id
from envs.rows import World
from envs.states import Integers, Levels, Rows
from envs.step_buffers import StepBuffers
from envs.vector import GridVectorEnv

Probabilities = NDArray[np.float64]
RowPolicy = Callable[[Rows], Probabilities]
"""Action probabilities float64[N, A] of rows int16[N, R]."""

_BATCH_SIZE = 4096


def named_generator(seed: int, *names: str | int) -> np.random.Generator:
    """Generator of the stream that the names select under a seed; streams of different names share nothing.

    Args:
        seed: Run seed, >= 0.
        names: Words and numbers that name the stream.
    """
    digest = hashlib.sha256(repr(names).encode()).digest()
    words = np.frombuffer(digest, np.uint32).tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))


def sample_actions(policy_probs: Probabilities, uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
    """The least action a with uniform < Σ_{b <= a} π(b), as int64[N]; actions of probability 0 are never taken.

    Args:
        policy_probs: float64[N, A], rows sum to 1.
        uniforms: float64[N] in [0, 1).
    """
    cumulative = np.cumsum(policy_probs, axis=1)
    cumulative /= cumulative[:, -1:]
    actions: NDArray[np.int64] = (uniforms[:, None] >= cumulative).sum(axis=1)
    return actions


def play_policy(
    world: World, make_policy: Callable[[Integers], RowPolicy], levels: Levels, *, num_episodes: int, seed: int
) -> Episodes:
    """Play `num_episodes` whole episodes and record them, rows included.

    Args:
        world: The world.
        make_policy: From the level ids of a batch of episodes to the policy that plays them.
        levels: The block that levels are drawn from.
        num_episodes: E >= 1.
        seed: Of the envs' streams, and of the stream that chooses among actions.

    Returns:
        Episodes in the order of their envs; `contexts` are the true ones, whether shown or hidden.
    """
    require_integer("num_episodes", num_episodes, low=1, high=2**31)
    require_integer("seed", seed, low=0, high=2**63 - 1)
    parts = []
    for first in range(0, num_episodes, _BATCH_SIZE):
        size = min(_BATCH_SIZE, num_episodes - first)
        env = GridVectorEnv(world, size, levels=levels, first_env=first)
        env.reset(seed=seed)
        steps, ends = _play_batch(env, make_policy(np.unique(env.get_state().level)), num_episodes=num_episodes)
        parts.append(_episodes(world, steps, ends))
    return concatenate(parts)


def _play_batch(env: GridVectorEnv, policy: RowPolicy, *, num_episodes: int) -> tuple[list[Arrays], Arrays]:
    """One episode in each env: what each step held, in order of time, and what each episode ended with."""
    state, buffers = env.get_state(), StepBuffers.empty(env.world, env.num_envs)
    ends: Arrays = {
        "levels": state.level,
        "terminated": np.zeros(env.num_envs, np.bool_),
        "truncated": np.zeros(env.num_envs, np.bool_),
        "final_rows": np.zeros_like(state.rows),
    }
    steps: list[Arrays] = []
    alive, actions, rows = np.arange(env.num_envs), np.zeros(env.num_envs, np.int64), state.rows
    while alive.size:
        uniforms = named_generator(int(state.seed[0]), "actions", len(steps)).random(num_episodes)
        actions[alive] = sample_actions(policy(rows[alive]), uniforms[env.first_env + alive])
        step: Arrays = {"episode": alive, "rows": rows[alive], "actions": actions[alive]}
        env.step_into(actions, buffers)
        rows = env.get_state().rows
        named: Arrays = {"rewards": buffers.reward, "components": buffers.components, "events": buffers.event}
        steps.append(step | {name: array[alive] for name, array in named.items()})
        over = buffers.terminated | buffers.truncated
        ended, alive = alive[over[alive]], alive[~over[alive]]
        for name, array in (("terminated", buffers.terminated), ("truncated", buffers.truncated), ("final_rows", rows)):
            ends[name][ended] = array[ended]
    return steps, ends


def _episodes(world: World, steps: list[Arrays], ends: Arrays) -> Episodes:
    """Put the steps of a batch in the order of their episodes, and observe their rows."""
    table = {name: np.concatenate([step[name] for step in steps]) for name in steps[0]}
    # A stable sort keeps the order of time within an episode.
    order = np.argsort(table["episode"], kind="stable")
    lengths = np.bincount(table.pop("episode"))
    table = {name: array[order] for name, array in table.items()}
    return Episodes(
        observations=world.observe(table["rows"]),
        final_observations=world.observe(ends["final_rows"]),
        contexts=world.context_of(table["rows"]),
        final_contexts=world.context_of(ends["final_rows"]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        discount=float(world.discount),
        env_id=world_id(world.name),
        options=dataclasses.asdict(world.config),
        **table,
        **ends,
    )
