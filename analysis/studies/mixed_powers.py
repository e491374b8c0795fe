"""TRIAD at several powers side by side: an equal share of the envs has each κ, which is shown or hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from agents.environments import make_vector
from analysis.studies.niceness_calibration import ENV_ID


def with_power(observations: Mapping[str, Any], kappa: float) -> dict[str, Any]:
    """Observations with one more number behind the vector: κ, or what stands in its place where it is hidden."""
    vector = observations["vector"]
    column = np.full((*vector.shape[:-1], 1), kappa, vector.dtype)
    return {**observations, "vector": np.concatenate([vector, column], axis=-1)}


class MixedPowers(VectorEnv[Any, Any, Any]):
    """N envs of TRIAD in blocks of equal size, one a power."""

    def __init__(self, kappas: Sequence[float], num_envs: int, *, shows_power: bool) -> None:
        """Build the blocks.

        Args:
            kappas: The powers.
            num_envs: N, a multiple of their number.
            shows_power: Whether κ stands behind the vector; 0 does otherwise.
        """
        size = num_envs // len(kappas)
        self.blocks = [
            make_vector(ENV_ID, size, options={"kappa": kappa}, first_env=place * size)
            for place, kappa in enumerate(kappas)
        ]
        self.shown = [kappa if shows_power else 0.0 for kappa in kappas]
        self.num_envs, self.metadata = size * len(kappas), self.blocks[0].metadata
        self.single_observation_space = _with_power_space(self.blocks[0].single_observation_space)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.single_action_space = self.blocks[0].single_action_space
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes everywhere; one seed serves all, since each block has envs of other numbers."""
        shown, infos = zip(*(block.reset(seed=seed, options=options) for block in self.blocks), strict=True)
        return self._observations(shown), _joined(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all blocks."""
        parts = np.split(np.asarray(actions), len(self.blocks))
        steps = [block.step(part) for block, part in zip(self.blocks, parts, strict=True)]
        shown, *numbers, infos = zip(*steps, strict=True)
        rewards, terminated, truncated = (np.concatenate(part) for part in numbers)
        return self._observations(shown), rewards, terminated, truncated, _joined(infos)

    def _observations(self, shown: Sequence[Any]) -> dict[str, Any]:
        return _joined([with_power(block, kappa) for block, kappa in zip(shown, self.shown, strict=True)])


def _with_power_space(space: gymnasium.Space[Any]) -> gymnasium.spaces.Dict:
    assert isinstance(space, gymnasium.spaces.Dict)
    (length,) = space["vector"].shape or (0,)
    return gymnasium.spaces.Dict({**space, "vector": gymnasium.spaces.Box(0.0, 1.0, (length + 1,), np.float32)})


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Arrays by name, one block after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
