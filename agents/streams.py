"""Experience from any Gymnasium vector env: whatever the autoreset mode, a transition ends in the state that it led to.

Shape key: N envs, T time, M ends within one step, C reward components, S row size.

The autoreset modes differ in where the last observation of an episode is found and in whether the step after it is a
transition. `EnvStream` is the one place that knows this:

| mode      | last observation     | the step after an end                                        |
|-----------|----------------------|--------------------------------------------------------------|
| NEXT_STEP | what `step` returned | resets and ignores the action: `valid` is False              |
| SAME_STEP | info["final_obs"]    | the first transition of the next episode                     |
| DISABLED  | what `step` returned | the first transition of the next episode, after our `reset`  |
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from agents.env_state import env_state, restore_env
from envs.errors import NonFiniteError

Observations = dict[str, NDArray[Any]]
Flatten = Callable[[Any], Observations]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Transitions:
    """One step of N envs. Rows where `valid` is False are resets and no transitions; M envs came to an end.

    Attributes:
        rewards: float64[N].
        terminated: bool[N].
        truncated: bool[N], False where terminated.
        valid: bool[N].
        events: int64[N], reinforcement event, −1 none.
        components: float64[N, C], or None where the env has no reward components.
        performance: float64[N], hidden performance, NaN where there is none.
        ended: int64[M], the envs whose episode ended in this step.
        final_observations: their last observations.
        final_contexts: int64[M], −1 unknown.
        final_rows: int16[M, S], or None where the env has no rows or has overwritten them (SAME_STEP).
    """

    rewards: Floats
    terminated: Flags
    truncated: Flags
    valid: Flags
    events: Indices
    components: Floats | None
    performance: Floats
    ended: Indices
    final_observations: Observations
    final_contexts: Indices
    final_rows: NDArray[np.int16] | None


class EnvStream:
    """Steps a vector env and shows every autoreset mode in the same way.

    Attributes:
        observations: what the envs show now.
        starts: bool[N], the observation is the first of an episode.
        valid: bool[N], the next step of this env will be a transition.
        levels: int64[N], the level of the episode, −1 where the env has none.
        contexts: int64[N], the context of the state, −1 where the env has none.
        num_steps: steps taken so far.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], *, seeds: Sequence[int] | int, flatten: Flatten) -> None:
        """Reset every env with its own seed.

        Args:
            env: any vector env.
            seeds: one per env; `agents.seeding.spawn_seeds` gives some that share no stream. One number for all envs is
                for native envs, which derive a stream per env from it; Gymnasium's own would use seed + k.
            flatten: makes a flat dict of arrays out of what the env shows.
        """
        self.env, self.num_envs, self.num_steps = env, env.num_envs, 0
        self._flatten = flatten
        self._mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        nobody = np.zeros(self.num_envs, bool)
        self.valid, self.starts = ~nobody, ~nobody
        self.levels, self.contexts = np.full(self.num_envs, -1), np.full(self.num_envs, -1)
        shown, info = env.reset(seed=seeds)  # type: ignore[arg-type]
        self._show(flatten(shown), info, starts=~nobody)

    def shown_by(self, envs: Indices) -> Observations:
        """What some of the envs show; without a copy where it is all of them."""
        return self.observations if len(envs) == self.num_envs else _take(self.observations, envs)

    def rows(self) -> NDArray[np.int16] | None:
        """State rows int16[N, S] of a native env, None of any other."""
        get_state = getattr(self.env, "get_state", None)
        return None if get_state is None else np.array(get_state().rows)

    def step(self, actions: Indices, *, with_rows: bool = False) -> Transitions:
        """Act in all envs; an action for an env whose `valid` is False is ignored.

        Args:
            actions: int64[N].
            with_rows: also read the last rows of the episodes that end.

        Raises:
            NonFiniteError: a reward or an observation is NaN or infinite; env and step are named.
        """
        valid = self.valid
        shown, rewards, terminated, truncated, info = self.env.step(actions)
        observations, rewards = self._flatten(shown), np.array(rewards, np.float64)
        require_finite("reward", rewards, step=self.num_steps)
        terminated = np.asarray(terminated, bool) & valid
        truncated = np.asarray(truncated, bool) & valid & ~terminated
        ended = np.flatnonzero(terminated | truncated)
        last_info, final = info, _take(observations, ended)
        if self._mode == AutoresetMode.SAME_STEP and len(ended):
            last_info, final = _before_reset(info, ended), self._stacked([info["final_obs"][k] for k in ended])
        require_finite("last observation", final, step=self.num_steps, envs=ended)
        rows = self.rows() if with_rows and self._mode != AutoresetMode.SAME_STEP and len(ended) else None
        transitions = Transitions(
            rewards=rewards, terminated=terminated, truncated=truncated, valid=valid,
            events=_field(last_info, "event", missing=np.full(self.num_envs, -1)),
            components=_components(last_info),
            performance=_field(last_info, "performance", missing=np.full(self.num_envs, np.nan)),
            ended=ended, final_observations=final, final_rows=None if rows is None else rows[ended],
            final_contexts=_field(last_info, "context", missing=np.full(self.num_envs, -1))[ended],
        )
        self._move_on(observations, info, ended=terminated | truncated)
        self.num_steps += 1
        return transitions

    def get_state(self) -> dict[str, NDArray[Any]]:
        """What `set_state` needs, as arrays by name; raises as `agents.env_state.env_state`."""
        own = {name: np.array(getattr(self, name)) for name in ("valid", "starts", "levels", "contexts", "num_steps")}
        return own | {f"env/{name}": array for name, array in env_state(self.env, self.observations).items()}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `get_state` of an equal stream returned; raises as `agents.env_state.restore_env`."""
        env = {name.removeprefix("env/"): array for name, array in state.items() if name.startswith("env/")}
        self.observations = restore_env(self.env, env, flatten=self._flatten)
        self.valid, self.starts = state["valid"], state["starts"]
        self.levels, self.contexts = state["levels"], state["contexts"]
        self.num_steps = int(state["num_steps"])

    def _move_on(self, observations: Observations, info: Mapping[str, Any], *, ended: Flags) -> None:
        """Find out which envs now show a first observation; reset those that wait for it (DISABLED)."""
        starts = ~self.valid
        if self._mode == AutoresetMode.NEXT_STEP:
            self.valid = ~ended
        else:
            starts = ended
        self._show(observations, info, starts=starts)
        if self._mode == AutoresetMode.DISABLED and ended.any():
            shown, info = self.env.reset(options={"reset_mask": ended.copy()})
            self._show(self._flatten(shown), info, starts=ended)

    def _show(self, observations: Observations, info: Mapping[str, Any], *, starts: Flags) -> None:
        require_finite("observation", observations, step=self.num_steps)
        self.observations, self.starts = observations, starts
        self.levels = np.where(starts, _field(info, "level", missing=self.levels), self.levels)
        self.contexts = _field(info, "context", missing=self.contexts)

    def _stacked(self, shown: list[Any]) -> Observations:
        """One batch out of M single observations."""
        singles = [self._flatten(_with_batch_axis(one)) for one in shown]
        return {name: np.concatenate([single[name] for single in singles]) for name in singles[0]}


def require_finite(
    site: str, values: NDArray[Any] | Observations, *, step: int | None = None, envs: Indices | None = None
) -> None:
    """Raise where a float is NaN or infinite.

    Args:
        site: what is looked at, for the message.
        values: array with the env on axis 0, or a dict of such.
        step: named in the message.
        envs: which env each row belongs to; None: row k is env k.

    Raises:
        NonFiniteError: names the site, the env and the step.
    """
    for name, array in values.items() if isinstance(values, dict) else (("", values),):
        if array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise NonFiniteError(f"{site} {name}".strip(), env=int(row if envs is None else envs[row]), step=step)


def _field(info: Mapping[str, Any], name: str, *, missing: NDArray[Any]) -> NDArray[Any]:
    """The values of an info key in the type of `missing`, which stands where an env has none that fits this type.

    Gymnasium marks in "_key" who has one. Anybody's env may use these names for something else, such as "1-1" for a
    level; whatever is no number, or no whole number where one is due, counts as missing.
    """
    values, marked = np.asarray(info.get(name, missing)), info.get(f"_{name}")
    if values.shape != missing.shape:
        return missing
    if values.dtype == missing.dtype:
        return values.copy() if marked is None else np.where(marked, values, missing)
    fits = np.ones(values.shape, bool) if marked is None else np.array(marked, bool)
    if values.dtype.kind not in "biuf":
        fits &= np.array([isinstance(value, numbers.Real) for value in values.tolist()], bool)
        values = np.where(fits, values, 0).astype(np.float64)
    if missing.dtype.kind == "i":
        fits &= np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 2**53)
    return np.where(fits, np.where(fits, values, 0).astype(missing.dtype), missing)


def _components(info: Mapping[str, Any]) -> Floats | None:
    """Reward components float64[N, C]; None where the env has none, or means something else by the name."""
    found = info.get("components")
    is_table = isinstance(found, np.ndarray) and found.ndim == 2 and found.dtype.kind in "biuf"
    return np.array(found, np.float64) if is_table else None


def _before_reset(info: Mapping[str, Any], ended: Indices) -> dict[str, Any]:
    """The info of the step itself: where an episode ended, "final_info" has it and `info` is that of the reset."""
    final = info.get("final_info", {})
    merged = {name: value for name, value in info.items() if name not in ("final_info", "final_obs")}
    for name, value in final.items():
        # What is nested, such as the statistics of a wrapper, is not read here.
        if isinstance(value, np.ndarray):
            now = merged.get(name)
            now = now if isinstance(now, np.ndarray) and now.shape == value.shape else np.zeros_like(value)
            mixed = now.astype(value.dtype if now.dtype == value.dtype else object)
            mixed[ended] = value[ended]
            merged[name] = mixed
    return merged


def _take(observations: Observations, index: Indices) -> Observations:
    return {name: array[index] for name, array in observations.items()}


def _with_batch_axis(observation: Any) -> Any:
    if isinstance(observation, Mapping):
        return {name: _with_batch_axis(part) for name, part in observation.items()}
    return [observation] if isinstance(observation, str) else np.asarray(observation)[None]
