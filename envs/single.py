"""GridEnv: one env of a world, the N = 1 view of the batch.

Shape key: P planes, H, W grid, V vector, C components.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from envs.render import RENDER_MODES
from envs.rows import EnvState, Levels, Observations, World
from envs.states import observation_of
from envs.step_buffers import single_info
from envs.streams import refuse_options
from envs.vector import GridVectorEnv


class GridEnv(gymnasium.Env[Observations, np.int64]):
    """One env of a world; reset(seed=s) gives it the stream of env `first_env` of seed s."""

    def __init__(
        self, world: World, *, levels: Levels | None = None, render_mode: str | None = None, first_env: int = 0
    ) -> None:
        """Build the env; the arguments are those of `GridVectorEnv`."""
        self._batch = GridVectorEnv(
            world,
            1,
            levels=levels,
            autoreset_mode=AutoresetMode.DISABLED,
            render_mode=render_mode,
            first_env=first_env,
        )
        self._engine, self._buffers = self._batch.engine, self._batch.buffers
        self._action, self._num_actions = np.zeros((1, 1), np.int64), world.num_actions
        self.world, self.levels, self.render_mode = world, self._batch.levels, render_mode
        self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4}
        self.observation_space = self._batch.single_observation_space
        self.action_space = self._batch.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin an episode: the first of seed's stream, or the next one. Options are refused: there are none."""
        refuse_options(options, known=())
        super().reset(seed=seed)
        self._batch.reset(seed=seed)
        return self._observation(), single_info(self._buffers)

    def step(self, action: np.int64 | int) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """One step; raises `ResetNeeded` after the end of an episode."""
        out, plain = self._buffers, type(action) is int or isinstance(action, np.integer)
        if plain and 0 <= action < self._num_actions and not self._engine.state.pending[0]:
            self._action[0, 0] = action
            self._engine.step(self._action, out)
        else:  # Slower; it knows every reason to refuse.
            self._batch.step_into(np.array([action]), out)
        ended = out.terminated.item(), out.truncated.item()
        return self._observation(), out.reward.item(), *ended, single_info(out)

    def _observation(self) -> Observations:
        return observation_of(self._buffers.planes[0].copy(), self._buffers.vector[0].copy())

    def get_state(self) -> EnvState:
        """A copy of the state, with N = 1."""
        return self._batch.get_state()

    def set_state(self, state: EnvState) -> Observations:
        """Go on from a state with N = 1; returns its observation."""
        self._batch.set_state(state)
        return self._observation()

    def render(self) -> Any:
        """The frame of the current state, or None without a render mode."""
        frames = self._batch.render()
        return None if frames is None else frames[0]
