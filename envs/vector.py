"""GridVectorEnv, a native batch of envs of one world.

Streams of chance are those of `envs.streams`. The engine truncates at the world's time limit; an episode that
terminates in its last step is terminated and not truncated.

Shape key: T steps, N envs, P planes, H, W grid, V vector, C components.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.engine import Engine
from envs.errors import UserError, require_choice, require_integer
from envs.render import RENDER_MODES, render_frames
from envs.restoring import require_possible
from envs.rows import EnvState, Levels, Observations, World
from envs.states import observation_of
from envs.step_buffers import StepBuffers, env_infos, observation_space, with_finals
from envs.streams import Seed, next_streams, reset_mask, start_streams


class GridVectorEnv(VectorEnv[Observations, npt.NDArray[Any], npt.NDArray[Any]]):
    """N envs of one world stepped by one kernel, with the three autoreset modes of Gymnasium's SyncVectorEnv.

    Infos hold, for every env: components float64[N, C], event int64[N], performance float64[N] of the step, level
    int64[N] and context int64[N] of the episode shown, each with its mask under "_" + name; in SAME_STEP also final_obs
    and final_info. Performance is for the experimenter: no learner may read it.
    """

    def __init__(
        self,
        world: World,
        num_envs: int,
        *,
        levels: Levels | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        first_env: int = 0,
    ) -> None:
        """Build the batch; nothing is drawn before `reset`.

        Args:
            world: The world.
            num_envs: N, at least 1.
            levels: Levels to draw episodes from; the training levels of the world unless given.
            autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED.
            render_mode: None, "rgb_array" or "ansi".
            first_env: Index of the first env in the streams of one seed.
        """
        require_integer("num_envs", num_envs, low=1, high=2**24)
        require_integer("first_env", first_env, low=0, high=2**31)
        if render_mode is not None:
            require_choice("render_mode", render_mode, choices=RENDER_MODES)
        if not isinstance(autoreset_mode, AutoresetMode):
            require_choice("autoreset_mode", autoreset_mode, choices=[mode.value for mode in AutoresetMode])
        self.world, self.num_envs, self.first_env, self.render_mode = world, num_envs, first_env, render_mode
        self.levels = levels if levels is not None else world.levels("train")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = observation_space(world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.single_action_space = gymnasium.spaces.Discrete(world.num_actions)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._started = False
        self.buffers = StepBuffers.empty(world, num_envs)
        self.engine = Engine(world, num_envs, levels=self.levels, autoreset_mode=self.autoreset_mode)

    def reset(self, *, seed: Seed = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: None (the next episode of each stream; fresh entropy the first time), an integer, or one per env.
            options: {"reset_mask": bool[N]} restricts the reset to these envs.

        Returns:
            Observations of all envs, and infos of the envs that were reset.
        """
        mask = reset_mask(options, self.num_envs)
        if not self._started:
            if not mask.all():
                raise ResetNeeded("The first reset must reset all envs; call reset() without a reset_mask first.")
            start_streams(self.engine.state, first_env=self.first_env)
        next_streams(self.engine.state, mask, seed=seed, first_env=self.first_env)
        super().reset(seed=int(seed) if isinstance(seed, (int, np.integer)) else None)
        self._started = True
        self.engine.reset(mask, self.buffers)
        return self._observations(), env_infos(self.buffers, mask)

    def step(
        self, actions: npt.ArrayLike
    ) -> tuple[Observations, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Step all envs; everything returned is a copy.

        Args:
            actions: Integers [N] in [0, A).

        Returns:
            Observations, reward float64[N], terminated bool[N], truncated bool[N], infos.
        """
        out = self.buffers
        self.step_into(actions, out)
        infos = env_infos(out, np.ones(self.num_envs, np.bool_))
        ended = out.terminated | out.truncated
        if self.autoreset_mode == AutoresetMode.SAME_STEP and ended.any():
            infos = with_finals(infos, out, ended)
        return self._observations(), out.reward.copy(), out.terminated.copy(), out.truncated.copy(), infos

    def step_into(self, actions: npt.ArrayLike, buffers: StepBuffers) -> None:
        """Step all envs and write the results into `buffers`, without a copy.

        Args:
            actions: Integers [N] in [0, A); ignored for envs that are reset in this step.
            buffers: Arrays of this env's shapes.

        Raises:
            ResetNeeded: Before the first reset; in DISABLED mode also if an ended env has not been reset.
            UserError: If an action is not an integer in range; then no env is stepped.
        """
        self.require_alive()
        self._step(self._checked_actions(actions, (self.num_envs,))[None], buffers, num_steps=None)

    def steps_into(self, actions: npt.ArrayLike, buffers: StepBuffers) -> None:
        """Take T steps of all envs; the same, bit by bit, as T calls of `step_into` with slices [t] of the buffers.

        The interpreter's lock is free meanwhile: threads that each have a batch of their own run side by side.

        Args:
            actions: Integers [T, N] in [0, A), T at least 1; ignored where an env is reset.
            buffers: Arrays of `StepBuffers.empty(world, N, num_steps=T)`'s shapes.

        Raises:
            ResetNeeded: Before the first reset.
            UserError: If an action is not an integer in range, and then no env is stepped; in DISABLED mode.
        """
        if self.autoreset_mode == AutoresetMode.DISABLED:
            raise UserError(
                "autoreset_mode is 'Disabled', allowed for steps_into are 'NextStep' and 'SameStep', since nobody can "
                "reset an env between two of its steps; choose one of these, or call step_into."
            )
        self.require_alive()
        num_steps = max(len(np.atleast_1d(actions)), 1)
        self._step(self._checked_actions(actions, (num_steps, self.num_envs)), buffers, num_steps=num_steps)

    def require_alive(self) -> None:
        """Refuse to step before the first reset, and in DISABLED mode while an ended env has not been reset."""
        if not self._started:
            raise ResetNeeded("The env has no episode yet; call reset() first.")
        pending = self.engine.state.pending
        if self.autoreset_mode == AutoresetMode.DISABLED and pending.any():
            ended = int(np.flatnonzero(pending)[0])
            raise ResetNeeded(f"The episode of env {ended} has ended; reset it, with a reset_mask in the options.")

    def _step(self, actions: npt.NDArray[np.int64], buffers: StepBuffers, *, num_steps: int | None) -> None:
        buffers.require_like(self.buffers, num_steps=num_steps)
        failed = self.engine.step(actions, buffers)
        if failed >= 0:
            t, n = divmod(failed, self.num_envs)
            where = f"env {n}" if num_steps is None else f"env {n} at step {t}"
            last = self.world.num_actions - 1
            raise UserError(
                f"The action of {where} is {actions[t, n]}, allowed is 0 to {last}; no env moved, step again."
            )

    def _checked_actions(self, actions: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        array = np.asarray(actions)
        if array.shape != shape or array.dtype.kind not in "iu":
            raise UserError(
                f"actions are {array.dtype} of shape {array.shape}, allowed are integers of shape {shape}; "
                "give one for each env and step."
            )
        return np.ascontiguousarray(array, np.int64)

    def _observations(self) -> Observations:
        return observation_of(self.buffers.planes.copy(), self.buffers.vector.copy())

    def get_state(self) -> EnvState:
        """A copy of everything that the next steps depend on."""
        if not self._started:
            raise ResetNeeded("The env has no state yet; call reset() first.")
        return self.engine.state.copy()

    def set_state(self, state: EnvState) -> Observations:
        """Go on from a state that `get_state` returned; returns its observations.

        Raises:
            UserError: For a state that no env of this batch can be in; then nothing has changed.
        """
        own, may_wait = self.engine.state, self.autoreset_mode != AutoresetMode.SAME_STEP
        require_possible(state, own, world=self.world, levels=self.levels, may_wait=may_wait)
        for field in dataclasses.fields(EnvState):
            getattr(own, field.name)[...] = getattr(state, field.name)
        self._started = True
        self.engine.reset(np.zeros(self.num_envs, np.bool_), self.buffers)
        return self._observations()

    def render(self) -> tuple[Any, ...] | None:
        """One frame per env: uint8[height, width, 3] for "rgb_array", text for "ansi"; None without a render mode."""
        if self.render_mode is None:
            return None
        return render_frames(self.world, self.engine.state.rows, mode=self.render_mode)
