"""What an agent earns: whole episodes of a named actor, on training or on held-out levels.

Shape key: E episodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.actors import make_actor
from agents.agent import AlphaAgent
from agents.environments import discount_of, given_time_limit, world_of
from agents.playing import Played, play_batches
from envs.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Episodes of one actor. Rewards after a time limit are not in any return.

    Attributes:
        actor: its name (`agents.actors.make_actor`).
        greedy: whether D took its most probable action.
        split: "train" or "test" levels (our worlds), or "seeds" (foreign envs, which have fresh seeds for levels).
        discount: γ of the discounted returns.
        returns: float64[E], Σ_t r_t.
        discounted_returns: float64[E], Σ_t γ^t r_t.
        lengths: int64[E].
        levels: int64[E], −1 where there are none.
        performance: float64[E], Σ_t of the hidden performance, NaN where there is none.
        terminated: bool[E], the world ended the episode, not the limit.
        given_limit: the time limit that the env was given because it has none of its own, else None.
    """

    actor: str
    greedy: bool
    split: str
    discount: float
    returns: Floats
    discounted_returns: Floats
    lengths: NDArray[np.int64]
    levels: NDArray[np.int64]
    performance: Floats
    terminated: NDArray[np.bool_]
    given_limit: int | None = None

    @property
    def num_cut(self) -> int:
        """Episodes that the given limit cut."""
        return 0 if self.given_limit is None else int((~self.terminated & (self.lengths >= self.given_limit)).sum())

    def summary(self) -> dict[str, Any]:
        """Means over episodes, JSON-ready; the episodes of one agent say nothing about other seeds."""
        performance = float(np.mean(self.performance))
        return {
            "actor": self.actor, "greedy": self.greedy, "split": self.split, "num_episodes": len(self.returns),
            "mean_return": float(np.mean(self.returns)), "discount": self.discount,
            "mean_discounted_return": float(np.mean(self.discounted_returns)),
            "mean_length": float(np.mean(self.lengths)), "share_terminated": float(np.mean(self.terminated)),
            "num_cut": self.num_cut,
            "mean_performance": performance if np.isfinite(performance) else None,
        }  # fmt: skip


def evaluate(
    agent: AlphaAgent,
    env_id: str,
    *,
    actor: str = "D",
    greedy: bool = True,
    num_episodes: int = 256,
    seed: int = 0,
    split: str = "test",
    options: Mapping[str, Any] | None = None,
    discount: float | None = None,
) -> Evaluation:
    """Play `num_episodes` whole episodes, the first of as many envs in a world of ours.

    Args:
        agent: read only.
        env_id: Gymnasium id.
        actor: "D", "V1" = argmax_a E[r + γ·V(s')] with the world's kernel, or that of a search, such as "search-16" or
            "search-16,rule=puct" (`agents.actors.make_actor`).
        greedy: D takes its most probable action, and a search adds no noise; False samples. V1 is always greedy.
        num_episodes: E ≥ 1.
        seed: of episodes and of sampled actions; its streams are none of those that train an agent.
        split: "test" levels, which no training stage plays, or "train" (our worlds only).
        options: of the world, or of `gymnasium.make`.
        discount: γ; None for the world's own, 0.99 for foreign envs.

    Returns:
        The episodes, in an order that does not depend on their lengths.

    Raises:
        UserError: an unknown id, option, split or actor; V1 or a search where the env has no kernel.
        NonFiniteError: a reward, an observation, logits or values are NaN or infinite.
    """
    world = world_of(env_id, options)
    if actor == "V1" and world is None:
        raise UserError(f"Actor 'V1' needs a world with a kernel, which {env_id} has not; use actor 'D'.")
    gamma = discount_of(env_id, options) if discount is None else discount
    parts = play_batches(
        env_id, agent.spec,
        lambda env, first: make_actor(actor, agent, env, seed=seed, greedy=greedy, first_env=first),
        num_episodes=num_episodes, seed=seed, name="evaluate", options=options, split=split,
    )  # fmt: skip
    return _evaluation(
        list(parts), actor=actor, greedy=greedy or actor == "V1", split="seeds" if world is None else split,
        discount=gamma, given_limit=given_time_limit(env_id, options),
    )  # fmt: skip


def _evaluation(
    parts: list[Played], *, actor: str, greedy: bool, split: str, discount: float, given_limit: int | None
) -> Evaluation:
    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    lengths = joined("lengths")
    starts = np.cumsum(lengths) - lengths
    age = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    rewards = joined("rewards")
    return Evaluation(
        actor=actor, greedy=greedy, split=split, discount=discount, returns=np.add.reduceat(rewards, starts),
        discounted_returns=np.add.reduceat(rewards * discount**age, starts), lengths=lengths, levels=joined("levels"),
        performance=np.add.reduceat(joined("performance"), starts), terminated=joined("terminated"),
        given_limit=given_limit,
    )  # fmt: skip
