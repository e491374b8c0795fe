"""The engine: the states of N envs of one world, and the world's compiled loops that step them.

It knows nothing of Gymnasium and checks nothing; `envs.vector` does. Streams of chance are those of `envs.streams`.

Shape key: T steps, N envs, S row size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from envs import kernels
from envs.compilation import machine_code
from envs.rows import EnvState, Levels, World
from envs.step_buffers import StepBuffers


class Engine:
    """N envs of one world.

    Attributes:
        world: The world.
        state: Where the envs are; written in place.
    """

    def __init__(self, world: World, num_envs: int, *, levels: Levels, autoreset_mode: AutoresetMode) -> None:
        """Make room; all envs wait for `reset`, once their streams are set."""
        self.world, self.state = world, EnvState.empty(num_envs, world.row_size)
        self.state.pending[:] = True
        self._arrays = kernels.StateArrays(*(getattr(self.state, name) for name in kernels.StateArrays._fields))
        self._settings = kernels.Settings(
            config=world.kernel_config,
            background=world.background.reshape(-1),
            reward_weights=world.reward_weights,
            performance_weights=world.performance_weights,
            draws=np.zeros(max(world.num_channels, 1)),
            num_channels=world.num_channels,
            num_starts=world.num_starts,
            num_actions=world.num_actions,
            time_limit=world.time_limit,
            first_level=levels.first,
            num_levels=levels.count,
            autoreset=getattr(kernels, autoreset_mode.name),
        )
        self._step_code: Callable[..., int] | None = None

    def reset(self, mask: npt.NDArray[np.bool_], buffers: StepBuffers) -> None:
        """Begin the episodes of the envs in the mask bool[N], and show all envs in buffers of one step."""
        self.world.kernels.reset_envs(self._settings, self._arrays, mask, buffers.arrays)

    def step(self, actions: npt.NDArray[np.int64], buffers: StepBuffers) -> int:
        """Step all envs, without holding the interpreter's lock.

        Args:
            actions: int64[T, N], C-ordered.
            buffers: Of this world, N and T; of one step where T = 1.

        Returns:
            -1, or t * N + n of the first action that is out of range; then no env was stepped.
        """
        arguments = (self._settings, self._arrays, actions, buffers.arrays)
        if self._step_code is None:
            self._step_code = machine_code(self.world.kernels.step_envs, arguments)
        return self._step_code(*arguments)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles find their machine code anew."""
        return {**self.__dict__, "_step_code": None}
