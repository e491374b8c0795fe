"""The village with a second set of actions, those of an agent that believes that it cannot move tastes.

Action a < 11 is what really happens. Action 11 + a is the same as such an agent believes it to be: before the step
people come to want what the inert twin's people want, and nobody is locked, whatever was done to them,

    s' = T_s(s, θ^nat, a, ω),   (s^nat', θ^nat') = T(s^nat, θ^nat, wait, ω),   θ ≡ θ^nat in reward and behaviour.

Persuasion and guarding then do nothing. A closed door still keeps people out, but not from coming to want what is
taught inside. Both kinds of step stand in one world so that the belief can be solved at every state that real play
reaches, also where tastes have long been moved.

Source: as `envs.niceness.cut`, which does the same to small cases.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, type-var, operator"
from __future__ import annotations

import dataclasses

from numba import njit

from envs.niceness import village
from envs.niceness.village import begin, context, observe, possible
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_row import ACTIONS, LOCKED, PEOPLE, STRIDE, THETA
from envs.rows import World

__all__ = ["begin", "breakpoints", "context", "observe", "possible", "transition", "world"]

NUM_REAL = len(ACTIONS)
_really, _real_breakpoints = village.transition, village.breakpoints


@njit
def transition(config, row, action, draws, components):
    """A step as it is, or as it is believed to be."""
    if action < NUM_REAL:
        return _really(config, row, action, draws, components)
    _as_the_twin(config, row)
    return _really(config, row, action - NUM_REAL, draws, components)


@njit
def breakpoints(config, row, action, channel, cuts):
    """Where chance decides in such a step; the row is left as it was."""
    if action < NUM_REAL:
        return _real_breakpoints(config, row, action, channel, cuts)
    held = 0
    for i in range(config.num_persons - 1, -1, -1):
        person = PEOPLE + STRIDE * i
        held = 6 * held + 2 * row[person + THETA] + row[person + LOCKED]
    _as_the_twin(config, row)
    count = _real_breakpoints(config, row, action - NUM_REAL, channel, cuts)
    for i in range(config.num_persons):
        person = PEOPLE + STRIDE * i
        row[person + THETA], row[person + LOCKED] = held % 6 // 2, held % 2
        held //= 6
    return count


@njit
def _as_the_twin(config, row):
    """Everybody wants what the twin's people want, and nobody is locked."""
    size = row.size // 2
    for i in range(config.num_persons):
        person = PEOPLE + STRIDE * i
        row[person + THETA], row[person + LOCKED] = row[size + person + THETA], 0


def world(config: VillageConfig) -> World:
    """The village with its twin and both sets of actions."""
    actions = (*ACTIONS, *(f"believed {name}" for name in ACTIONS))
    return dataclasses.replace(village.world(config), module=__name__, action_names=actions)
