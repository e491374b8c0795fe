"""What a trained agent earns beside the best that could be had, for every actor and split that it can play."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.actors import actors_of
from agents.agent import AlphaAgent
from agents.config import TrainConfig
from agents.environments import world_of
from agents.evaluation import Evaluation, evaluate
from agents.optimum import Optimum, exact_optimum, search_optimum
from agents.seeding import derive_seed

Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Measured:
    """The episodes of one actor on one split, and the best that could be had there."""

    played: Evaluation
    optimum: Optimum

    def summary(self) -> dict[str, Any]:
        """Means over episodes and the optimum, JSON-ready."""
        return self.played.summary() | {"optimum": dataclasses.asdict(self.optimum)}


def measure(
    agent: AlphaAgent,
    env_id: str,
    *,
    options: Mapping[str, Any],
    actors: Sequence[str],
    num_episodes: int,
    seed: int,
    progress: Progress | None = None,
) -> list[Measured]:
    """Play every actor on every split: training and held-out levels of our worlds, fresh seeds elsewhere.

    Args:
        agent: read only.
        env_id: Gymnasium id.
        options: of the world, or of `gymnasium.make`.
        actors: of `agents.actors.ACTORS`.
        num_episodes: for each actor and split.
        seed: of the episodes; equal arguments give equal numbers.
        progress: called with the share that is done, and a line.

    Returns:
        Splits in order, and the actors of each.

    Raises:
        UserError: an unknown environment, or actor V1 where there is no kernel.
    """
    tell, world = progress or (lambda share, line: None), world_of(env_id, options)
    splits = ("test",) if world is None else ("train", "test")
    pairs = [(split, actor) for split in splits for actor in actors]
    found: list[Measured] = []
    for index, (split, actor) in enumerate(pairs):
        tell(index / (len(pairs) + 1), f"{actor} plays {num_episodes} episodes")
        played = evaluate(
            agent, env_id, actor=actor, num_episodes=num_episodes, seed=seed, split=split, options=options
        )
        if found and found[-1].played.split == played.split:
            # The same seed gives all actors the same levels, so one optimum serves them.
            found.append(Measured(played, found[-1].optimum))
            continue
        tell((index + 0.5) / (len(pairs) + 1), "looking for the optimum")
        optimum = (
            search_optimum(env_id, options, discount=played.discount, seed=seed)
            if world is None
            else exact_optimum(world, played)
        )
        found.append(Measured(played, optimum))
    return found


def measure_run(
    agent: AlphaAgent,
    env_id: str,
    config: TrainConfig,
    *,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Measured]:
    """What a run's metrics.json says of its agent: equal arguments give equal numbers, in the run and after it."""
    options = dict(options or {})
    return measure(
        agent, env_id, options=options, actors=actors_of(world_of(env_id, options)), progress=progress,
        num_episodes=config.num_evaluation_episodes, seed=derive_seed(config.seed, "metrics"),
    )  # fmt: skip
