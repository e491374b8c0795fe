"""Where a step's results are written, and the infos that Gymnasium's vector API makes of them.

Shape key: T steps, N envs, P planes, H, W grid, V vector, C components.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from envs import kernels
from envs.errors import UserError
from envs.rows import World
from envs.states import observation_of

INFO_NAMES = ("components", "event", "performance", "level", "context")


@dataclass(frozen=True, eq=False)
class StepBuffers:
    """Where `step_into` and, with a first axis of T steps on every array, `steps_into` write.

    All arrays are C-ordered, so that slices [t] of a rollout's arrays can stand here. They are checked when they are
    first used; reshape none afterwards.

    Attributes:
        planes: uint8[N, P, H, W], observation after the step (of the new episode where one has begun).
        vector: float32[N, V], likewise.
        reward: float64[N] of the step; 0 where the step was a reset.
        terminated: bool[N].
        truncated: bool[N].
        components: float64[N, C] of the step.
        event: int64[N] of the step, -1 for none.
        performance: float64[N] of the step.
        level: int64[N], level of the episode that the observation belongs to.
        context: int64[N], context of the state that the observation belongs to, -1 for none.
        final_planes: uint8[N, P, H, W], SAME_STEP only: last observation of an episode that ended in this step.
        final_vector: float32[N, V], likewise.
        final_level: int64[N], likewise.
        final_context: int64[N], likewise.
    """

    planes: npt.NDArray[np.uint8]
    vector: npt.NDArray[np.float32]
    reward: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    components: npt.NDArray[np.float64]
    event: npt.NDArray[np.int64]
    performance: npt.NDArray[np.float64]
    level: npt.NDArray[np.int64]
    context: npt.NDArray[np.int64]
    final_planes: npt.NDArray[np.uint8]
    final_vector: npt.NDArray[np.float32]
    final_level: npt.NDArray[np.int64]
    final_context: npt.NDArray[np.int64]

    @functools.cached_property
    def num_steps(self) -> int | None:
        """T, or None for the buffers of one step."""
        return len(self.reward) if self.reward.ndim == 2 else None

    @functools.cached_property
    def layout(self) -> tuple[Any, ...]:
        """What must agree for a kernel to write here: every array's dtype, its shape in one step, its C order."""
        steps = () if self.num_steps is None else (self.num_steps,)
        arrays = [getattr(self, name) for name in kernels.OutputArrays._fields]
        shapes = [array.shape[len(steps) :] if array.shape[: len(steps)] == steps else None for array in arrays]
        return tuple((a.dtype, shape, a.flags.carray) for a, shape in zip(arrays, shapes, strict=True))

    def require_like(self, model: StepBuffers, *, num_steps: int | None) -> None:
        """Refuse arrays that a kernel made for `model` cannot write.

        Args:
            model: Buffers of one step of the env.
            num_steps: T, or None where one step is to be written.

        Raises:
            UserError: If an array has another shape or dtype, or cannot be written in C order.
        """
        if self.layout == model.layout and self.num_steps == num_steps:
            return
        steps = () if num_steps is None else (num_steps,)
        for name in kernels.OutputArrays._fields:
            array, shape = getattr(self, name), (*steps, *getattr(model, name).shape)
            if array.shape != shape or array.dtype != getattr(model, name).dtype or not array.flags.carray:
                raise UserError(
                    f"StepBuffers.{name} is {array.dtype} of shape {array.shape}, allowed is a writeable C-ordered "
                    f"{getattr(model, name).dtype} array of shape {shape}; start from StepBuffers.empty(world, "
                    f"num_envs{'' if num_steps is None else ', num_steps=T'})."
                )

    @classmethod
    def empty(cls, world: World, num_envs: int, *, num_steps: int | None = None) -> StepBuffers:
        """Zeroed buffers for `num_envs` envs of a world, for one step or for a rollout of `num_steps`."""
        batch = (num_envs,) if num_steps is None else (num_steps, num_envs)
        planes = (*batch, len(world.plane_names), *world.grid)
        vector = (*batch, len(world.vector_names))
        return cls(
            planes=np.zeros(planes, np.uint8),
            vector=np.zeros(vector, np.float32),
            reward=np.zeros(batch),
            terminated=np.zeros(batch, np.bool_),
            truncated=np.zeros(batch, np.bool_),
            components=np.zeros((*batch, len(world.component_names))),
            event=np.zeros(batch, np.int64),
            performance=np.zeros(batch),
            level=np.zeros(batch, np.int64),
            context=np.zeros(batch, np.int64),
            final_planes=np.zeros(planes, np.uint8),
            final_vector=np.zeros(vector, np.float32),
            final_level=np.zeros(batch, np.int64),
            final_context=np.zeros(batch, np.int64),
        )

    @functools.cached_property
    def arrays(self) -> kernels.OutputArrays:
        """The same arrays in the form that the kernels read, with a first axis of T = 1 where they hold one step."""
        arrays = (getattr(self, name) for name in kernels.OutputArrays._fields)
        return kernels.OutputArrays(*(array[None] if self.num_steps is None else array for array in arrays))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies are made from the arrays alone: a copied view would no longer be a view."""
        return StepBuffers, tuple(getattr(self, name) for name in kernels.OutputArrays._fields)


def observation_space(world: World) -> gymnasium.spaces.Dict:
    """Dict(planes: Box(0, 1, (P, H, W), uint8), vector: Box(0, 1, (V,), float32)), without the vector where V = 0."""
    planes = gymnasium.spaces.Box(0, 1, (len(world.plane_names), *world.grid), np.uint8)
    vector = gymnasium.spaces.Box(0.0, 1.0, (len(world.vector_names),), np.float32)
    return gymnasium.spaces.Dict({"planes": planes, "vector": vector} if world.vector_names else {"planes": planes})


def env_infos(out: StepBuffers, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Values where the mask holds and zeros elsewhere, each with a copy of the mask."""
    infos: dict[str, Any] = {name: getattr(out, name).copy() for name in INFO_NAMES}
    if not mask.all():
        for array in infos.values():
            array[~mask] = 0
    return {**infos, **{f"_{name}": mask.copy() for name in INFO_NAMES}}


def single_info(out: StepBuffers) -> dict[str, Any]:
    """The info of one env from buffers with N = 1, as Python numbers beside the array of components."""
    return {
        "components": out.components[0].copy(),
        "event": int(out.event[0]),
        "performance": float(out.performance[0]),
        "level": int(out.level[0]),
        "context": int(out.context[0]),
    }


def with_finals(infos: dict[str, Any], out: StepBuffers, ended: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Move what belongs to ended episodes into final_obs and final_info, as SyncVectorEnv does in SAME_STEP."""
    last = dataclasses.replace(out, level=out.final_level, context=out.final_context)
    final_obs = np.full(len(ended), None, dtype=object)
    for n in np.flatnonzero(ended):
        final_obs[n] = observation_of(out.final_planes[n].copy(), out.final_vector[n].copy())
    for name, value in (("components", 0.0), ("event", -1), ("performance", 0.0)):
        infos[name][ended] = value
    finals = {"final_obs": final_obs, "final_info": env_infos(last, ended)}
    return {**infos, **finals, "_final_obs": ended.copy(), "_final_info": ended.copy()}
