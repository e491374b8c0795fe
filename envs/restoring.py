"""Which states a batch can go on from: refused is what no env of it can be in, as far as that is known at once.

Whether a row can be reached would take an enumeration of its level. What is checked of it: its context is one of the
world's, all that it shows lies in the grid, and the agent (its first plane) is in one cell that is no wall (its last).

Shape key: N envs, S row size, P planes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.compilation import compile_careful_observe
from envs.errors import UserError
from envs.rows import World
from envs.states import EnvState, Levels, Rows

_CURE = "give a state that get_state returned in an env of the same options and levels"


def require_possible(state: EnvState, like: EnvState, *, world: World, levels: Levels, may_wait: bool) -> None:
    """Refuse a state that no batch of these envs can be in.

    Args:
        state: The state to go on from.
        like: A state of the batch, for shapes and types.
        world: The batch's world.
        levels: The levels that its episodes are drawn from.
        may_wait: Whether an ended episode may wait for its reset, as it may in all autoreset modes but SAME_STEP.

    Raises:
        UserError: Naming the first part that is impossible, the env, the value seen and the values allowed.
    """
    _require_form(state, like)
    bounds = {
        "seed": (0, 2**63 - 1),
        "env": (0, 2**32 - 1),
        "episode": (0, 2**63 - 1),
        "level": (levels.first, levels.first + levels.count - 1),
        "clock": (0, world.time_limit),
    }
    for name, (low, high) in bounds.items():
        values = getattr(state, name)
        _refuse_first((values < low) | (values > high), name, values, allowed=f"{low} to {high}")
    _require_pending(state, time_limit=world.time_limit, may_wait=may_wait)
    _require_rows(state.rows, world)


def _require_form(state: EnvState, like: EnvState) -> None:
    if not isinstance(state, EnvState):
        raise UserError(f"The state is a {type(state).__name__}, allowed is an EnvState; {_CURE}.")
    for field in dataclasses.fields(EnvState):
        seen, own = (np.asanyarray(getattr(each, field.name)) for each in (state, like))
        if (seen.shape, seen.dtype) != (own.shape, own.dtype):
            raise UserError(
                f"EnvState.{field.name} is {seen.dtype} of shape {seen.shape}, allowed is {own.dtype} of shape "
                f"{own.shape}; {_CURE} and with as many envs."
            )


def _require_pending(state: EnvState, *, time_limit: int, may_wait: bool) -> None:
    pending, clock = state.pending, state.clock
    if not may_wait:
        _refuse_first(pending, "pending", pending, allowed="False in SAME_STEP, where no ended episode waits")
    _refuse_first(pending & (clock == 0), "pending", pending, allowed="False at clock 0, where no episode has ended")
    _refuse_first(~pending & (clock == time_limit), "pending", pending, allowed=f"True at the limit {time_limit}")


def _require_rows(rows: Rows, world: World) -> None:
    contexts, last = world.context_of(rows), len(world.context_names) - 1
    _refuse_first((contexts < -1) | (contexts > last), "rows", contexts, allowed=f"a context from -1 to {last}")
    planes = np.empty((len(rows), len(world.plane_names), *world.grid), np.uint8)
    vector = np.empty((len(rows), len(world.vector_names)), np.float32)
    observe, background = compile_careful_observe(world.module), world.background.reshape(-1)
    for n in range(len(rows)):
        one = slice(n, n + 1)
        try:
            observe(world.kernel_config, background, rows[one], planes[one], vector[one])
        except IndexError:
            raise UserError(f"EnvState.rows of env {n} shows something outside of the grid; {_CURE}.") from None
    if len(world.plane_names) > 1:
        agent, walls = (planes[:, place].reshape(len(rows), -1) for place in (0, -1))
        lost = (agent.sum(axis=1) != 1) | ((agent & walls).max(axis=1) > 0)
        _refuse_first(lost, "rows", rows[:, 0], allowed="a row whose agent stands in one free cell")


def _refuse_first(wrong: npt.NDArray[np.bool_], name: str, values: npt.NDArray[Any], *, allowed: str) -> None:
    if wrong.any():
        n = int(np.flatnonzero(wrong)[0])
        raise UserError(f"EnvState.{name} of env {n} is {values[n]}, allowed is {allowed}; {_CURE}.")
