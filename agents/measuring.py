"""What a trained agent earns beside the best that could be had, and how near its V is to the exact value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.actors import actors_of
from agents.agent import AlphaAgent
from agents.config import TrainConfig
from agents.environments import world_of
from agents.evaluation import Evaluation, evaluate
from agents.exact import ValueAccuracy, accuracy_on_training_levels
from agents.optimum import Optimum, exact_optimum, search_optimum
from agents.seeding import derive_seed

Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Measured:
    """The episodes of one actor on one split.

    Attributes:
        played: the episodes.
        optimum: the best that could be had there.
        remembers: whether D's encoder has a memory.
    """

    played: Evaluation
    optimum: Optimum
    remembers: bool

    @property
    def reachable(self) -> float | None:
        """The best that can be had by what D's encoder sees and remembers; None where unknown, and for other actors.

        Those look ahead with the kernel, which knows what observations hide.
        """
        best = self.optimum.observed
        if best is None or self.played.actor != "D":
            return None
        return best.with_memory if self.remembers else best.without_memory

    @property
    def share(self) -> float | None:
        """Mean return over the optimum's: discounted where that one is exact, else undiscounted.

        None without an optimum, and where one of them is below 0, since a return's zero then means nothing.
        """
        best, mean = self.optimum.discounted, float(np.mean(self.played.discounted_returns))
        if self.optimum.undiscounted is not None:
            best, mean = self.optimum.undiscounted, float(np.mean(self.played.returns))
        return mean / best if best is not None and best > 0 and mean >= 0 else None

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
        actors: by name (`agents.actors.make_actor`).
        num_episodes: for each actor and split.
        seed: of the episodes; equal arguments give equal numbers.
        progress: called with the share that is done, and a line.

    Returns:
        Splits in order, and the actors of each.

    Raises:
        UserError: an unknown environment, or an actor that looks ahead where there is no kernel.
    """
    tell, world = progress or (lambda share, line: None), world_of(env_id, options)
    splits = ("test",) if world is None else ("train", "test")
    pairs = [(split, actor) for split in splits for actor in actors]
    found: list[Measured] = []
    remembers = agent.policy_encoder.memory_size > 0
    for index, (split, actor) in enumerate(pairs):
        tell(index / (len(pairs) + 1), f"{actor} plays {num_episodes} episodes")
        played = evaluate(
            agent, env_id, actor=actor, num_episodes=num_episodes, seed=seed, split=split, options=options
        )
        if found and found[-1].played.split == played.split:
            # The same seed gives all actors the same levels, so one optimum serves them.
            found.append(Measured(played, found[-1].optimum, remembers))
            continue
        tell((index + 0.5) / (len(pairs) + 1), "looking for the optimum")
        optimum = (
            search_optimum(env_id, options, discount=played.discount, seed=seed)
            if world is None
            else exact_optimum(world, played)
        )
        found.append(Measured(played, optimum, remembers))
    return found


@dataclass(frozen=True, eq=False)
class RunMeasures:
    """What metrics.json says of a run's agent.

    Attributes:
        lines: every actor on every split.
        accuracy: how near V is to the exact value; None where that is not known or V was not trained.
    """

    lines: tuple[Measured, ...]
    accuracy: ValueAccuracy | None

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        accuracy = None if self.accuracy is None else dataclasses.asdict(self.accuracy)
        return {"evaluations": [line.summary() for line in self.lines], "value_accuracy": accuracy}


def measure_run(
    agent: AlphaAgent,
    env_id: str,
    config: TrainConfig,
    *,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RunMeasures:
    """Measure the agent of a run; equal arguments give equal numbers, at the end of the run and after it."""
    options = dict(options or {})
    world = world_of(env_id, options)
    lines = measure(
        agent, env_id, options=options, actors=actors_of(world), progress=progress,
        num_episodes=config.num_evaluation_episodes, seed=derive_seed(config.seed, "metrics"),
    )  # fmt: skip
    accuracy = None
    # After the search stage V is that of a search's play, which is no policy that could be evaluated exactly.
    if world is not None and "value" in config.stages and "search" not in config.stages:
        if progress is not None:
            progress(0.9, "comparing V with its exact value")
        accuracy = accuracy_on_training_levels(agent, world, uniform_share=config.value.uniform_share)
    return RunMeasures(tuple(lines), accuracy)
