"""Template loops over rows: written once, re-homed into every world's module and compiled there.

The functions below call `begin`, `transition`, `observe`, `breakpoints` and `context` as module globals that this
module does not have; `envs.compilation` gives each world its own copies, in whose globals they are the world's
functions. Nothing here allocates, and nothing here runs before it is compiled. The loops take tuples of arrays apart
once and not in the loop, since each array taken out of a tuple may cost an atomic count of references.

Shape key: N envs or rows, S row size, A actions, O outcomes, C components, P planes, H, W grid, V vector.
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
    """The arrays of a `StepBuffers`, written in place."""

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


def _clear_outputs(out, n):
    out.reward[n] = 0.0
    out.performance[n] = 0.0
    out.terminated[n] = False
    out.truncated[n] = False
    out.event[n] = -1


def _advance_envs(settings, state, actions, out):
    """Step the envs that are not pending; a pending one has just begun anew, and reports no reward."""
    config, draws, num_channels = settings.config, settings.draws, settings.num_channels
    reward_weights, performance_weights = settings.reward_weights, settings.performance_weights
    rows, clock, pending, components = state.rows, state.clock, state.pending, out.components
    for n in range(actions.size):
        for c in range(components.shape[1]):
            components[n, c] = 0.0
        _clear_outputs(out, n)
        if pending[n]:
            pending[n] = False
            continue
        if num_channels > 0:
            key = episode_key(state.seed[n], state.env[n], state.episode[n])
            for c in range(num_channels):
                draws[c] = uniform(key, clock[n], c)
        event, terminated = transition(config, rows[n], actions[n], draws, components[n])
        for c in range(components.shape[1]):
            out.reward[n] += reward_weights[c] * components[n, c]
            out.performance[n] += performance_weights[c] * components[n, c]
        clock[n] += 1
        out.event[n] = event
        out.terminated[n] = terminated
        out.truncated[n] = not terminated and clock[n] >= settings.time_limit
        pending[n] = terminated or out.truncated[n]


def observe_rows(config, background, rows, planes, vector):
    """Write the observation of each row: the background, then what the world draws upon it."""
    flat = planes.reshape(rows.shape[0], background.size)
    for n in range(rows.shape[0]):
        for i in range(background.size):
            flat[n, i] = background[i]
        for i in range(vector.shape[1]):
            vector[n, i] = 0.0
        observe(config, rows[n], planes[n], vector[n])


def context_rows(config, rows, contexts):
    """Write the context of each row."""
    for n in range(rows.shape[0]):
        contexts[n] = context(config, rows[n])


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


def reset_envs(settings, state, mask, out):
    """Begin the episodes of the envs in the mask, clear the outputs of all and show all."""
    _begin_episodes(settings, state, mask, 0)
    for n in range(mask.size):
        if mask[n]:
            state.pending[n] = False
        _clear_outputs(out, n)
        for c in range(out.components.shape[1]):
            out.components[n, c] = 0.0
    _show_envs(settings, state, out)


def step_envs(settings, state, actions, out):
    """One step of all envs; returns -1, or the first env whose action is out of range, with nothing stepped."""
    for n in range(actions.size):
        if actions[n] < 0 or actions[n] >= settings.num_actions:
            return n
    if settings.autoreset == NEXT_STEP:
        _begin_episodes(settings, state, state.pending, 1)
    _advance_envs(settings, state, actions, out)
    if settings.autoreset == SAME_STEP:
        _keep_finals(settings, state, out)
        _begin_episodes(settings, state, state.pending, 1)
        for n in range(actions.size):
            state.pending[n] = False
    _show_envs(settings, state, out)
    return -1


def begin_rows(config, levels, starts, rows):
    """Write the first row of each (level, start)."""
    for n in range(levels.size):
        begin(config, rows[n], levels[n], starts[n])


def _cut_channels(config, row, action, cuts, counts):
    total = 1
    for c in range(counts.size):
        counts[c] = breakpoints(config, row, action, c, cuts[c])
        total *= counts[c] + 1
    return total


def _joint_outcome(index, cuts, counts, draws):
    probability = 1.0
    for c in range(counts.size):
        digit = index % (counts[c] + 1)
        index //= counts[c] + 1
        low = cuts[c, digit - 1] if digit > 0 else 0.0
        high = cuts[c, digit] if digit < counts[c] else 1.0
        draws[c] = 0.5 * (low + high)
        probability *= high - low
    return probability


def expand_rows(config, rows, scratch, out):
    """All outcomes of all actions; returns -1, or the first row with more outcomes than there is room for.

    `scratch` is (draws, cuts, counts), `out` is (next_rows, probability, components, event, terminated).
    """
    draws, cuts, counts = scratch
    next_rows, probability, components, event, terminated = out
    for n in range(rows.shape[0]):
        for action in range(probability.shape[1]):
            total = _cut_channels(config, rows[n], action, cuts, counts)
            if total > probability.shape[2]:
                return n
            for o in range(total):
                probability[n, action, o] = _joint_outcome(o, cuts, counts, draws)
                for s in range(rows.shape[1]):
                    next_rows[n, action, o, s] = rows[n, s]
                event[n, action, o], terminated[n, action, o] = transition(
                    config, next_rows[n, action, o], action, draws, components[n, action, o]
                )
    return -1


PARTS = (
    _begin_episodes,
    _clear_outputs,
    _advance_envs,
    observe_rows,
    context_rows,
    _show_envs,
    _keep_finals,
    _cut_channels,
    _joint_outcome,
)
LOOPS = (reset_envs, step_envs, begin_rows, observe_rows, context_rows, expand_rows)
