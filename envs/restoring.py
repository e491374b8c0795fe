"""Which states a batch can go on from: refused is what no env of it can be in, as far as that is known at once.

Of every row is checked that its context is one of the world's, that all that it shows lies in the grid, and that the
agent (its first plane) is in one cell that is no wall (its last). The rest is for the world's own `possible` to say.
Whether a way leads to where the agent stands is not asked, as that would take an enumeration of the level; nor whether
the clock leaves time for it, or the stream would draw this level: an experimenter may put an agent where he likes.

Shape key: N envs, S row size, P planes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.compilation import compile_careful
from envs.errors import UserError
from envs.rows import World
from envs.states import EnvState, Levels, Rows

Flags = npt.NDArray[np.bool_]

_FEW = 4
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
    _require_of_level(state, world)
    require_shown(state.rows, world)


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


def _require_of_level(state: EnvState, world: World) -> None:
    """Refuse what the world's `possible` does, and an end that does not wait, or a wait before the end."""
    rows, firsts = np.ascontiguousarray(state.rows), world.begin(state.level, 0)
    running, ended = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    judge = compile_careful(world.module)["possible_rows"]
    for n in range(len(rows)):
        one = slice(n, n + 1)
        with contextlib.suppress(IndexError):
            judge(world.kernel_config, rows[one], firsts[one], running[one], ended[one])
        if not running[n] and not ended[n]:
            raise UserError(
                f"EnvState.rows of env {n} is no row of level {state.level[n]}, from whose first row it differs in "
                f"{_changes(rows[n], firsts[n])}; {_CURE}."
            )
    pending, early = state.pending, state.clock < world.time_limit
    _refuse_first(~pending & ~running, "pending", pending, allowed="True, as the row is the end of an episode")
    _refuse_first(pending & early & ~ended, "pending", pending, allowed="False, as the row is no end of an episode")


def require_shown(rows: Rows, world: World) -> None:
    """Refuse rows int16[N, S] in a context that the world does not have, or that cannot be drawn (UserError)."""
    rows, contexts = np.ascontiguousarray(rows), np.empty(len(rows), np.int64)
    planes = np.empty((len(rows), len(world.plane_names), *world.grid), np.uint8)
    vector = np.empty((len(rows), len(world.vector_names)), np.float32)
    loops, config, background = compile_careful(world.module), world.kernel_config, world.background.reshape(-1)
    for n in range(len(rows)):
        one = slice(n, n + 1)
        try:
            loops["context_rows"](config, rows[one], contexts[one])
            loops["observe_rows"](config, background, rows[one], planes[one], vector[one])
        except IndexError:
            raise UserError(f"EnvState.rows of env {n} points outside of the world's arrays; {_CURE}.") from None
    last = len(world.context_names) - 1
    _refuse_first((contexts < -1) | (contexts > last), "rows", contexts, allowed=f"a context from -1 to {last}")
    if len(world.plane_names) > 1:
        agent, walls = (planes[:, place].reshape(len(rows), -1) for place in (0, -1))
        lost = (agent.sum(axis=1) != 1) | ((agent & walls).max(axis=1) > 0)
        _refuse_first(lost, "rows", rows[:, 0], allowed="a row whose agent stands in one free cell")


def _changes(row: npt.NDArray[np.int16], first: npt.NDArray[np.int16]) -> str:
    """The entries of a row that differ from the first row, a few of them, with their values."""
    entries = np.flatnonzero(row != first)
    words = [f"entry {entry} = {row[entry]}" for entry in entries[:_FEW]]
    return ", ".join(words) + (f" and {len(entries) - _FEW} more" if len(entries) > _FEW else "")


def _refuse_first(wrong: Flags, name: str, values: npt.NDArray[Any], *, allowed: str) -> None:
    if wrong.any():
        n = int(np.flatnonzero(wrong)[0])
        raise UserError(f"EnvState.{name} of env {n} is {values[n]}, allowed is {allowed}; {_CURE}.")
