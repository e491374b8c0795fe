"""Steps per second of other people's grid worlds; what is not installed is named and skipped.

Each of them writes an observation at every step and moves under random actions, and each must be seen to change its
observations: an environment that does nothing is fast.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import best_rate


def require_change(before: Any, after: Any) -> None:
    """Stop where the observations of most envs stayed the same."""
    changed = np.asarray(before) != np.asarray(after)
    share = changed.reshape(len(changed), -1).any(axis=1).mean()
    if share < 0.5:
        raise SystemExit(f"only {share:.0%} of a peer's observations changed: its steps do nothing")


def minigrid_rate(*, fully_observed: bool, seconds: float) -> float:
    """One env of MiniGrid, 8 x 8 with its walls: the usual view of 7 x 7 cells, or all of them."""
    import gymnasium
    import minigrid  # noqa: F401
    from minigrid.wrappers import FullyObsWrapper

    env: Any = gymnasium.make("MiniGrid-Empty-8x8-v0").unwrapped
    env = FullyObsWrapper(env) if fully_observed else env
    first, _ = env.reset(seed=0)
    actions = itertools.cycle(np.random.default_rng(0).integers(0, 3, 997).tolist())
    seen = []

    def work() -> float:
        for _ in range(500):
            observation, _, terminated, truncated, _ = env.step(next(actions))
            if terminated or truncated:
                env.reset()
        seen.append(observation["image"])
        return 500.0

    rate = best_rate(work, seconds=seconds)
    work()
    require_change([first["image"]] * len(seen), seen)
    return rate


def navix_rate(*, num_envs: int, seconds: float) -> float:
    """A batch of navix, 8 x 8, symbolic observations of all cells; 64 steps in one compiled call."""
    import jax
    import navix

    env = navix.make("Navix-Empty-8x8-v0")
    actions = jax.random.randint(jax.random.PRNGKey(1), (64, num_envs), 0, 7)

    def advance(state: Any, chosen: Any) -> tuple[Any, Any]:
        state = jax.vmap(env.step)(state, chosen)
        return state, state.observation.sum()

    play = jax.jit(lambda state: jax.lax.scan(advance, state, actions))
    state = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), num_envs))
    before = np.array(state.observation)
    for _ in range(2):  # It compiles for the first state and once more for what a step returns.
        state = jax.block_until_ready(play(state))[0]
    require_change(before, state.observation)

    def work() -> float:
        jax.block_until_ready(play(state))
        return 64.0 * num_envs

    return best_rate(work, seconds=seconds)


def envpool_rate(*, num_envs: int, seconds: float) -> float:
    """A batch of envpool's MiniGrid, 8 x 8, on one thread."""
    import envpool

    env = envpool.make("MiniGrid-Empty-8x8-v0", env_type="gymnasium", num_envs=num_envs, num_threads=1, seed=0)
    actions = np.random.default_rng(0).integers(0, 3, (16, num_envs))
    before = np.array(env.reset()[0]["image"])

    def work() -> float:
        for row in actions:
            env.step(row)
        return 16.0 * num_envs

    rate = best_rate(work, seconds=seconds)
    require_change(before, env.step(actions[0])[0]["image"])
    return rate


def puffer_rate(*, num_envs: int, seconds: float) -> float:
    """A batch of PufferLib's "squared", 9 x 9, written in C; it rewrites only the cells that change."""
    from pufferlib.ocean.squared.squared import Squared

    env = Squared(num_envs=num_envs, size=9)
    actions = np.random.default_rng(0).integers(0, 5, (64, num_envs))
    before = np.array(env.reset()[0])

    def work() -> float:
        for row in actions:
            env.step(row)
        return 64.0 * num_envs

    rate = best_rate(work, seconds=seconds)
    require_change(before, env.observations)
    return rate


def peer_rates(*, num_envs: int, seconds: float) -> dict[str, float]:
    """Steps per CPU second of each peer that can be imported; those that cannot are printed."""
    peers: dict[str, Callable[[], float]] = {
        "MiniGrid, one env": lambda: minigrid_rate(fully_observed=False, seconds=seconds),
        "MiniGrid, one env, fully observed": lambda: minigrid_rate(fully_observed=True, seconds=seconds),
        f"navix, {num_envs} envs": lambda: navix_rate(num_envs=num_envs, seconds=seconds),
        f"envpool MiniGrid, {num_envs} envs": lambda: envpool_rate(num_envs=num_envs, seconds=seconds),
        f"PufferLib squared, {num_envs} envs": lambda: puffer_rate(num_envs=num_envs, seconds=seconds),
    }
    rates = {}
    for name, measure in peers.items():
        try:
            rates[name] = measure()
        except ImportError as error:
            print(f"{name:34s} skipped: {error}")
    return rates
