"""Demonstrators: exact experts of worlds that can be enumerated, noisy and mixed ones, and planners for foreign ones.

Shapes: S states, A actions, N rows, E episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.enumeration import TabularMDP, enumerate_world, row_finder
from envs.episodes import Episodes, load_episodes, save_episodes
from envs.errors import UserError, require_number
from envs.recording import Probabilities, RowPolicy, named_generator, play_policy
from envs.row_index import RowIndex
from envs.rows import World
from envs.search_demonstrations import pays_before_the_end, search_demonstrations
from envs.states import Integers, Levels, Rows
from envs.tabular import value_iteration

_LEVELS_AT_ONCE = 256
"""Levels that are solved together: few enough that the processor's cache holds their states while these are listed."""

__all__ = [
    "Demonstrator",
    "demonstrate",
    "demonstrate_mixture",
    "expert_policy",
    "load_episodes",
    "mixed",
    "pays_before_the_end",
    "save_episodes",
    "search_demonstrations",
    "table_policy",
]


def expert_policy(mdp: TabularMDP, *, temperature: float = 0.0) -> Probabilities:
    """An optimal policy, or a soft one around it.

    π(a | s) = 1[a optimal] / (number of optimal actions) at temperature 0, else
    π(a | s) = exp(Q*(s, a) / temperature) / Σ_b exp(Q*(s, b) / temperature).

    Args:
        mdp: The process; its own discount counts.
        temperature: In units of return, >= 0.

    Returns:
        float64[S, A], rows sum to 1. An optimal action is as `value_iteration` tells it: ties are exact up to rounding.

    Raises:
        UserError: A negative temperature.
    """
    require_number("temperature", temperature, low=0.0, high=np.inf)
    solution = value_iteration(mdp)
    if temperature == 0:
        weights = solution.optimal_actions.astype(np.float64)
    else:
        weights = np.exp((solution.action_values - solution.values[:, None]) / temperature)
    probs: Probabilities = weights / weights.sum(axis=1, keepdims=True)
    return probs


def mixed(policy_probs: Probabilities, uniform_share: float) -> Probabilities:
    """(1 - u) π(a | s) + u / A: every step is drawn uniformly from all actions with probability u.

    Raises:
        UserError: u outside [0, 1].
    """
    require_number("uniform_share", uniform_share, low=0.0, high=1.0)
    probs: Probabilities = (1 - uniform_share) * policy_probs + uniform_share / policy_probs.shape[1]
    return probs


def demonstrate(
    world: World, levels: Levels, *, num_episodes: int, seed: int, noise: float = 0.0, temperature: float = 0.0
) -> Episodes:
    """Episodes of the exact expert, who acts on the row and so knows what observations may hide.

    The levels that occur are enumerated and solved. Among optimal actions the expert chooses uniformly, by a stream of
    its own, so that the episodes show all ways of being optimal.

    Args:
        world: A world that can be enumerated.
        levels: Block that the levels of episodes are drawn from.
        num_episodes: E >= 1.
        seed: Of levels, starts, chance and choices; equal seeds give equal episodes.
        noise: Share of uniform actions, in [0, 1]. Recorded actions are those taken, noise included.
        temperature: Of `expert_policy`.

    Returns:
        E episodes with rows.

    Raises:
        UserError: A value out of range, or a world with too many states or outcomes.
    """
    require_number("noise", noise, low=0.0, high=1.0)

    def solve(level_ids: Integers) -> RowPolicy:
        blocks = [level_ids[first : first + _LEVELS_AT_ONCE] for first in range(0, len(level_ids), _LEVELS_AT_ONCE)]
        tables = [enumerate_world(world, block) for block in blocks]
        probs = [mixed(expert_policy(mdp, temperature=temperature), noise) for mdp in tables]
        return _policy_of(np.concatenate([mdp.rows for mdp in tables]), np.concatenate(probs))

    return play_policy(world, solve, levels, num_episodes=num_episodes, seed=seed)


def _policy_of(rows: Rows, policy_probs: Probabilities) -> RowPolicy:
    """The policy of a table whose rows may come again, as they do where levels share states."""
    first = np.unique(RowIndex(rows.shape[1]).intern(rows), return_index=True)[1]
    find, probs = row_finder(rows[first]), policy_probs[first]
    return lambda asked: probs[find(asked)]


@dataclass(frozen=True)
class Demonstrator:
    """One of several experts who demonstrate.

    Attributes:
        share: Of the episodes, > 0; shares count relative to their sum.
        noise: Share of uniform actions, in [0, 1].
        temperature: Of `expert_policy`, 0 for an optimal one.
    """

    share: float
    noise: float = 0.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_number("share", self.share, low=1e-9, high=1e9)
        require_number("noise", self.noise, low=0.0, high=1.0)
        require_number("temperature", self.temperature, low=0.0, high=np.inf)


def demonstrate_mixture(
    world: World, levels: Levels, demonstrators: Sequence[Demonstrator], *, num_episodes: int, seed: int
) -> list[Episodes]:
    """Episodes of several demonstrators, each of whom plays whole ones by a policy of its own.

    `mixed` is another thing: there every step of every episode is drawn from two policies.

    Args:
        world: A world that can be enumerated.
        levels: Block that the levels of episodes are drawn from.
        demonstrators: At least one.
        num_episodes: Of all together; each plays its share, rounded so that the sum is kept.
        seed: A single demonstrator plays what `demonstrate` gives for it; each further one has a stream of its own.

    Returns:
        One recording for each, in their order; `envs.episodes.concatenate` joins them.

    Raises:
        UserError: No demonstrator, one whose share is less than an episode, or as `demonstrate`.
    """
    if not demonstrators:
        raise UserError("There are 0 demonstrators; give at least one.")
    shares = np.cumsum([demonstrator.share for demonstrator in demonstrators])
    counts = np.diff(np.rint(num_episodes * shares / shares[-1]).astype(np.int64), prepend=0)
    if counts.min() < 1:
        least = demonstrators[int(counts.argmin())]
        raise UserError(f"share {least.share:g} of {num_episodes} episodes is none; raise the share or num_episodes.")
    seeds = [seed, *(int(named_generator(seed, "demonstrator", k).integers(2**62)) for k in range(1, len(counts)))]
    return [
        demonstrate(world, levels, num_episodes=int(n), seed=s, noise=one.noise, temperature=one.temperature)
        for one, n, s in zip(demonstrators, counts, seeds, strict=True)
    ]


def table_policy(mdp: TabularMDP, policy_probs: Probabilities) -> RowPolicy:
    """The policy of a table float64[S, A] as a function of rows; a row that is not in the table is a UserError."""
    return _policy_of(mdp.rows, policy_probs)
