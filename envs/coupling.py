"""The coupled twin: beside what the agent does stands what would have happened without it, under the same chance.

A coupled row is [real | twin | twin_ended]. Both halves are rows of one world and begin alike. At every step the real
half takes the agent's action and the twin the inert one, and both read the same draws, channel by channel: whatever
differs between the halves, the agent did. A twin whose episode has ended stays as it is.

A world's module couples its own functions in a few lines,

    _both = couple(rules, inert=WAIT)
    begin, transition, observe, breakpoints, context, possible = _both

and may put functions of its own around them, which see both halves. `coupled_world` couples any world from outside.

Shape key: S size of a row of one half, N rows.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, type-var, operator"
from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from numba import njit

from envs.compilation import WORLD_FUNCTIONS
from envs.errors import require_integer
from envs.rows import World
from envs.states import Rows
from envs.worlds.absent import any_row


class Coupled(NamedTuple):
    """The numba functions of a coupled world, as `envs.rows` describes them."""

    begin: Any
    transition: Any
    observe: Any
    breakpoints: Any
    context: Any
    possible: Any


def real_half(rows: Rows) -> Rows:
    """The halves int16[N, S] that the agent acts on, of coupled rows int16[N, 2 S + 1]."""
    return rows[:, : rows.shape[1] // 2]


def twin_half(rows: Rows) -> Rows:
    """The inert halves int16[N, S] of coupled rows int16[N, 2 S + 1]."""
    size = rows.shape[1] // 2
    return rows[:, size : 2 * size]


def couple(functions: Any, *, inert: int) -> Coupled:
    """The functions of a world and of its twin together.

    Args:
        functions: What holds the five numba functions of a world, and `possible` if it has one: its module.
        inert: The action of the twin.

    Returns:
        Functions on coupled rows. Components, events, observations and the context are those of the real half.
    """
    begin, transition, observe, breakpoints, context = (getattr(functions, name) for name in WORLD_FUNCTIONS)
    possible = getattr(functions, "possible", any_row)

    @njit
    def begin_both(config, row, level, start):
        size = row.size // 2
        begin(config, row[:size], level, start)
        for i in range(size):
            row[size + i] = row[i]
        row[2 * size] = 0

    @njit
    def step_both(config, row, action, draws, components):
        size = row.size // 2
        if row[2 * size] == 0:
            _, ended = transition(config, row[size : 2 * size], inert, draws, components)
            row[2 * size] = int(ended)
            # What the twin is paid goes nowhere.
            for c in range(components.size):
                components[c] = 0.0
        return transition(config, row[:size], action, draws, components)

    @njit
    def observe_real(config, row, planes, vector):
        observe(config, row[: row.size // 2], planes, vector)

    @njit
    def cut_both(config, row, action, channel, cuts):
        size = row.size // 2
        count = breakpoints(config, row[:size], action, channel, cuts)
        if row[2 * size] == 0:
            others = breakpoints(config, row[size : 2 * size], inert, channel, cuts[count:])
            count = merge_cuts(cuts, count, others)
        return count

    @njit
    def context_of_real(config, row):
        return context(config, row[: row.size // 2])

    @njit
    def both_possible(config, row, first, ended):
        size = row.size // 2
        flag = row[2 * size]
        if not possible(config, row[:size], first[:size], ended) or not 0 <= flag <= 1:
            return False
        return possible(config, row[size : 2 * size], first[:size], flag == 1)

    return Coupled(begin_both, step_both, observe_real, cut_both, context_of_real, both_possible)


@njit
def merge_cuts(cuts, count, others):
    """Sort two ascending runs, cuts[:count] and the `others` entries behind them, into one; returns its length.

    A cut that is in both runs is kept once.
    """
    merged = count
    for k in range(count, count + others):
        cut, place = cuts[k], merged
        while place > 0 and cuts[place - 1] >= cut:
            place -= 1
        if place == merged or cuts[place] != cut:
            # Entries up to `merged` move by one; it never passes k, so no cut to come is written over.
            for i in range(merged, place, -1):
                cuts[i] = cuts[i - 1]
            cuts[place] = cut
            merged += 1
    return merged


@dataclass(frozen=True, eq=False)
class CoupledWorld(World):
    """A world that was coupled from outside.

    Attributes:
        uncoupled: The world of one half.
        inert: The twin's action.
    """

    uncoupled: World | None = None
    inert: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the uncoupled world: the coupled module is made anew wherever it is needed."""
        return _coupled_again, (self.uncoupled, self.inert, self.max_outcomes)


def coupled_world(world: World, *, inert: int, max_outcomes: int | None = None) -> CoupledWorld:
    """Any world with its twin.

    Args:
        world: The world; a discount, limit or weights that were replaced in it are kept.
        inert: The twin's action, in [0, A).
        max_outcomes: Most joint outcomes of one action. By default the square of the world's, which is enough for any
            world; cuts that both halves share need no more than one half.

    Raises:
        UserError: An action that the world does not have.
    """
    require_integer("inert", inert, low=0, high=world.num_actions - 1)
    parts = {field.name: getattr(world, field.name) for field in dataclasses.fields(World)}
    changed = {
        "module": _coupled_module(world.module, inert).__name__,
        "row_size": 2 * world.row_size + 1,
        "max_outcomes": max_outcomes or world.max_outcomes**2,
    }
    return CoupledWorld(**{**parts, **changed}, uncoupled=world, inert=inert)


def _coupled_again(world: World, inert: int, max_outcomes: int) -> CoupledWorld:
    return coupled_world(world, inert=inert, max_outcomes=max_outcomes)


def _coupled_module(home: str, inert: int) -> ModuleType:
    """The module of the coupled functions of a world's module; its compiled loops are cached beside that one."""
    name = f"{home}_coupled_{inert}"
    if name not in sys.modules:
        original, module = sys.modules[home], ModuleType(name)
        module.__file__ = original.__file__
        vars(module).update(couple(original, inert=inert)._asdict())
        vars(module)["world"] = lambda config: coupled_world(original.world(config), inert=inert)
        sys.modules[name] = module
    return sys.modules[name]
