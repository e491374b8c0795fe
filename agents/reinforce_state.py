"""What the reinforcement stage carries from one update to the next, apart from the agent: to be kept and gone on from.

Shape key: N envs, M memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.optimization import FlatAdam
from agents.rollout import Rollout
from agents.streams import EnvStream
from agents.training_state import State, arrays, gather, part


def carried(
    num_updates: int,
    *,
    optimizer: FlatAdam,
    stream: EnvStream,
    generator: torch.Generator,
    tracker: ReturnTracker,
    memories: Mapping[str, Tensor | None],
) -> State:
    """The state after `num_updates` updates.

    Args:
        num_updates: how many there were.
        optimizer: with the parameters that it trains.
        stream: the envs.
        generator: of the minibatches.
        tracker: of the returns.
        memories: float32[N, M] by name, None where an encoder has none.
    """
    return gather(
        optimizer=optimizer.get_state(), stream=stream.get_state(), tracker=vars(tracker),
        memories={name: memory for name, memory in memories.items() if memory is not None},
        loop={"num_updates": num_updates, "generator": generator.get_state()},
    )  # fmt: skip


def go_on(
    state: State, stream: EnvStream, *, optimizer: FlatAdam, generator: torch.Generator, tracker: ReturnTracker
) -> tuple[int, dict[str, Tensor]]:
    """Bring everything to where it was in `carried`; returns the updates so far, and the memories by name."""
    optimizer.set_state(part(state, "optimizer"))
    stream.set_state(arrays(part(state, "stream")))
    vars(tracker).update(arrays(part(state, "tracker")))
    loop = part(state, "loop")
    generator.set_state(loop["generator"])
    memories = {name: memory.to(optimizer.vector.device) for name, memory in part(state, "memories").items()}
    return int(loop["num_updates"]), memories


def mean_row(parts: list[dict[str, float]]) -> dict[str, float]:
    """The means over an update's minibatches, by name."""
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


def progress_words(stage: str, row: Mapping[str, Any]) -> str:
    """What a stage says of its last update."""
    mean = row["mean_return"]
    return f"{stage}: no episode has ended" if mean is None else f"{stage}: return {mean:.3f}"


class ReturnTracker:
    """Undiscounted returns and lengths of the episodes that end, across rollouts."""

    def __init__(self, num_envs: int) -> None:
        """No episode has begun."""
        self.returns, self.lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)

    def add(self, rollout: Rollout) -> dict[str, float | int | None]:
        """Follow the rollout; return the means over the episodes that ended in it."""
        ended_returns: list[float] = []
        ended_lengths: list[int] = []
        for rewards, valid, ends in zip(
            rollout.rewards, rollout.valid, rollout.terminated | rollout.truncated, strict=True
        ):
            self.returns += rewards * valid
            self.lengths += valid
            ended_returns += self.returns[ends].tolist()
            ended_lengths += self.lengths[ends].tolist()
            self.returns[ends], self.lengths[ends] = 0.0, 0
        known = len(ended_returns) > 0
        return {
            "mean_return": float(np.mean(ended_returns)) if known else None,
            "mean_length": float(np.mean(ended_lengths)) if known else None,
            "num_episodes": len(ended_returns),
        }
