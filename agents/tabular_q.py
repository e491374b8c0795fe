"""Tabular Q-learning in a world of ours: the plainest learner of rewards, to calibrate the others by.

    Q(s, a) += α_n (r + γ max_b Q(s', b) − Q(s, a)),   α_n = (H + 1)/(H + n) at the n-th visit of (s, a)

It sees states, not observations, and explores uniformly with a share that falls linearly from 1.

Source: Watkins and Dayan (1992), Machine Learning 8; the rate is that of Jin et al. (2018), arXiv 1807.03765, section
3, for episodes of H steps, which does not hold on to early bootstraps as 1/n does. Their bonus is not used.

Shape key: S states, A actions, N envs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from agents.fields import check_fields
from agents.seeding import derive_seed, numpy_generator
from envs.enumeration import TabularMDP, state_finder
from envs.errors import UserError
from envs.rows import World
from envs.vector import GridVectorEnv

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QConfig:
    """Settings of `learn_q`.

    Attributes:
        num_steps: environment steps in all.
        num_envs: environments stepped together.
        horizon: H of the learning rate, about the steps of an episode.
        last_exploration: share of uniform actions at the end.
        discount: γ; None takes the world's own.
    """

    num_steps: int = 200_000
    num_envs: int = 64
    horizon: int = 6
    last_exploration: float = 0.2
    discount: float | None = None

    def __post_init__(self) -> None:
        """Refuse wrong types and ranges."""
        bounds = {
            "num_steps": (1, 10**10), "num_envs": (1, 10**6), "horizon": (1, 10**6), "last_exploration": (0.0, 1.0),
            "discount": (0.0, 1.0),
        }  # fmt: skip
        check_fields(self, bounds)


def learn_q(world: World, mdp: TabularMDP, config: QConfig, *, seed: int) -> Floats:
    """Learn Q on training levels.

    Args:
        world: its env is stepped.
        mdp: the world's own table of its training levels, of which the numbers of states alone are read.
        config: settings.
        seed: of levels, starts, chance and exploration.

    Returns:
        float64[S, A], 0 where an action was never taken.

    Raises:
        UserError: the table lacks states that play reaches.
    """
    if mdp.num_actions != world.num_actions:
        raise UserError(f"The table has {mdp.num_actions} actions, {world.name} {world.num_actions}; give its own.")
    gamma = world.discount if config.discount is None else config.discount
    env, rng = GridVectorEnv(world, config.num_envs), numpy_generator(seed, "q", "exploration")
    env.reset(seed=derive_seed(seed, "q", "envs"))
    find, values = state_finder(mdp), np.zeros((mdp.num_states, world.num_actions))
    visits, num_rounds = np.zeros(values.shape, np.int64), -(-config.num_steps // config.num_envs)
    for now in range(num_rounds):
        before = env.get_state()
        states = find(before.rows[~before.pending])
        actions = np.zeros(config.num_envs, np.int64)
        share = 1.0 - (1.0 - config.last_exploration) * now / num_rounds
        actions[~before.pending] = _explore(values[states], share, rng)
        _, rewards, terminated, _, _ = env.step(actions)
        alive = ~before.pending & ~terminated
        after = np.full(config.num_envs, -1)
        after[alive] = find(env.get_state().rows[alive])
        acted = ~before.pending
        learned = (states, actions[acted], rewards[acted].astype(np.float64), after[acted])
        _update(values, visits, learned, (gamma, float(config.horizon)))
    return values


def _explore(values: Floats, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """The best action, ties broken by chance; a uniform one in a share of the rows."""
    tied = values == values.max(axis=1, keepdims=True)
    best = (tied * rng.random(values.shape)).argmax(axis=1)
    return np.where(rng.random(len(values)) < share, rng.integers(values.shape[1], size=len(values)), best)


@njit(cache=True)
def _update(values, visits, learned, numbers):  # type: ignore[no-untyped-def]  # pragma: no cover
    """One step of each env, in their order."""
    gamma, horizon = numbers
    states, actions, rewards, after = learned
    for n in range(states.size):
        s, a = states[n], actions[n]
        visits[s, a] += 1
        ahead = values[after[n]].max() if after[n] >= 0 else 0.0
        values[s, a] += (horizon + 1.0) / (horizon + visits[s, a]) * (rewards[n] + gamma * ahead - values[s, a])
