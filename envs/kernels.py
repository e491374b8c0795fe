"""Template loops of the engine: written once, re-homed into every world's module and compiled there.

The functions here and in `envs.row_kernels` call `begin`, `transition`, `observe`, `breakpoints` and `context` as
module globals that the two modules do not have; `envs.compilation` gives each world its own copies, in whose globals
they are the world's functions. Nothing here allocates, so it is compiled without counts of references; nothing here
runs before it is compiled.

Shape key: T steps, N envs or rows, S row size, A actions, O outcomes, C components, P planes, H, W grid, V vector.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, name-defined"
# ruff: noqa: F821
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envs.noise import LEVEL_CHANNEL, START_CHANNEL, episode_key, uniform

NEXT_STEP, SAME_STEP, DISABLED = 0, 1, 2


class Settings(NamedTuple):
    """What stays fixed while an engine runs: the world's numbers, the levels and the autoreset mode."""

    config: Any
    background: np.ndarray
    reward_weights: np.ndarray
    performance_weights: np.ndarray
    draws: np.ndarray
    num_channels: int
    num_starts: int
    num_actions: int
    time_limit: int
    first_level: int
    num_levels: int
    autoreset: int


class StateArrays(NamedTuple):
    """The arrays of an `EnvState`, written in place."""

    rows: np.ndarray
    seed: np.ndarray
    env: np.ndarray
    episode: np.ndarray
    level: np.ndarray
    clock: np.ndarray
    pending: np.ndarray


class OutputArrays(NamedTuple):
    """The arrays of a `StepBuffers`, written in place; those that come from outside have a first axis of T steps."""

    planes: np.ndarray
    vector: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    components: np.ndarray
    event: np.ndarray
    performance: np.ndarray
    level: np.ndarray
    context: np.ndarray
    final_planes: np.ndarray
    final_vector: np.ndarray
    final_level: np.ndarray
    final_context: np.ndarray


def _begin_episodes(settings, state, mask, skip):
    """Begin the episode `skip` further on in each env of the mask; clocks start again, the pending flags stay."""
    config, rows = settings.config, state.rows
    for n in range(mask.size):
        if mask[n]:
            state.episode[n] += skip
            key = episode_key(state.seed[n], state.env[n], state.episode[n])
            state.level[n] = settings.first_level + np.int64(settings.num_levels * uniform(key, 0, LEVEL_CHANNEL))
            state.clock[n] = 0
            start = np.int64(settings.num_starts * uniform(key, 0, START_CHANNEL))
            begin(config, rows[n], state.level[n], start)


def _clear_outputs(out):
    """Whole arrays at once: loops over the few entries of one env cost more than what they write."""
    out.components.fill(0.0)
    out.reward.fill(0.0)
    out.performance.fill(0.0)
    out.terminated.fill(False)
    out.truncated.fill(False)
    out.event.fill(-1)


def _advance_envs(settings, state, actions, out):
    """Step the envs that are not pending; a pending one has just begun anew, and reports no reward."""
    for n in range(actions.size):
        if state.pending[n]:
            state.pending[n] = False
            continue
        if settings.num_channels > 0:
            key = episode_key(state.seed[n], state.env[n], state.episode[n])
            for c in range(settings.num_channels):
                settings.draws[c] = uniform(key, state.clock[n], c)
        components = out.components[n]
        event, terminated = transition(settings.config, state.rows[n], actions[n], settings.draws, components)
        for c in range(components.size):
            out.reward[n] += settings.reward_weights[c] * components[c]
            out.performance[n] += settings.performance_weights[c] * components[c]
        state.clock[n] += 1
        out.event[n] = event
        out.terminated[n] = terminated
        out.truncated[n] = not terminated and state.clock[n] >= settings.time_limit
        state.pending[n] = terminated or out.truncated[n]


def _show_envs(settings, state, out):
    observe_rows(settings.config, settings.background, state.rows, out.planes, out.vector)
    context_rows(settings.config, state.rows, out.context)
    for n in range(out.level.size):
        out.level[n] = state.level[n]


def _keep_finals(settings, state, out):
    """Keep the last observation, level and context of every env that has ended."""
    config, background, rows = settings.config, settings.background, state.rows
    for n in range(rows.shape[0]):
        if state.pending[n]:
            one = slice(n, n + 1)
            observe_rows(config, background, rows[one], out.final_planes[one], out.final_vector[one])
            out.final_context[n] = context(config, rows[n])
            out.final_level[n] = state.level[n]


def reset_envs(settings, state, mask, outs):
    """Begin the episodes of the envs in the mask, clear the outputs of all and show all."""
    out = _outputs_at(outs, 0)
    _begin_episodes(settings, state, mask, 0)
    for n in range(mask.size):
        if mask[n]:
            state.pending[n] = False
    _clear_outputs(out)
    _show_envs(settings, state, out)


def _outputs_at(out, t):
    """The arrays of step t of a rollout."""
    return OutputArrays(
        out.planes[t], out.vector[t], out.reward[t], out.terminated[t], out.truncated[t], out.components[t],
        out.event[t], out.performance[t], out.level[t], out.context[t],
        out.final_planes[t], out.final_vector[t], out.final_level[t], out.final_context[t],
    )  # fmt: skip


def step_envs(settings, state, actions, outs):
    """T steps of all envs; returns -1, or t * N + n of the first action out of range, with nothing stepped."""
    num_steps, num_envs = actions.shape
    for t in range(num_steps):
        for n in range(num_envs):
            if actions[t, n] < 0 or actions[t, n] >= settings.num_actions:
                return t * num_envs + n
    for t in range(num_steps):
        out = _outputs_at(outs, t)
        if settings.autoreset == NEXT_STEP:
            _begin_episodes(settings, state, state.pending, 1)
        _clear_outputs(out)
        _advance_envs(settings, state, actions[t], out)
        if settings.autoreset == SAME_STEP:
            _keep_finals(settings, state, out)
            _begin_episodes(settings, state, state.pending, 1)
            state.pending.fill(False)
        _show_envs(settings, state, out)
    return -1


PARTS = (_begin_episodes, _clear_outputs, _advance_envs, _show_envs, _keep_finals, _outputs_at)
LOOPS = (reset_envs, step_envs)
