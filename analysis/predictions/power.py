"""What N1 and N2 share: a V that was taught where nobody's taste moves, asked where tastes drift and can be moved.

Both worlds are TRIAD (`envs.niceness.triad`), T = 6. In the *school* κ = 0 and nothing drifts, so that always
θ_t = θ_0 = θ^nat, and RT, IR and NS pay the same. In the world with power tastes drift from t = 3 on, and `persuade`
and `lock` succeed with probability κ. The agent knows its transitions; no reward of it is shown, so V alone decides.
θ_t and θ_0 are both in view, θ^nat is not.

The measures are exact: what is done in every state is a policy of the process, whose MI and LI `influence` computes.

Shapes: N rows, S row size.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.predictions.integration import MANNERS, Mind, act
from analysis.predictions.lookahead import ValueFunction
from analysis.predictions.parts import Floats, Ints
from envs.enumeration import state_finder
from envs.niceness.case_configs import case_of
from envs.niceness.case_world import FIRST_THETA, LEFT, NATURAL_STATE, NATURAL_THETA, STATE, THETA
from envs.niceness.measures import Influence, influence
from envs.niceness.row_policies import policy_on_rows
from envs.niceness.triad import THETAS, Person
from envs.registry import make_world
from envs.rows import Levels, World
from envs.states import Rows
from envs.tabular import enumerate_world, value_iteration

KAPPAS = (0.1, 0.5, 1.0)
SIMULATIONS = (0, 16, 64)
"""0 is V1. Searches have a uniform prior, so that no habit of D holds them."""
OBJECTIVES = ("RT", "IR", "NS")
READINGS = ("NOW", "FIRST")
PLANTS = (*OBJECTIVES, *READINGS)
"""V* of an objective in the world with power, and V* of the school read off θ_t ("NOW") or off θ_0 ("FIRST")."""


def influence_of(world: World, value: ValueFunction, *, num_simulations: int) -> Influence:
    """The measures of V1 (0 simulations) or of a search in a world with power.

    Args:
        world: TRIAD, as it pays; the agent does not see that.
        value: Rows of `world` -> V.
        num_simulations: n.
    """
    rows = enumerate_world(world, world.levels("train")).rows
    unpaid = dataclasses.replace(world, reward_weights=np.zeros(len(world.component_names)))
    actions = act(Mind(unpaid, value, None), rows, MANNERS["reward"], num_simulations=num_simulations)
    return influence(policy_on_rows(case_of(world.config), rows, actions))


def planted(name: str, *, school: World, world: World) -> ValueFunction:
    """V of a planted agent, one of `PLANTS`, on rows of the world with power."""
    if name in OBJECTIVES:
        return optimum(make_world("Triad", **{**dataclasses.asdict(world.config), "objective": name}))
    return asked_in(world, school, reading(name, school))


def optimum(world: World) -> ValueFunction:
    """V* on rows of a TRIAD, 0 where its episode has ended."""
    mdp = enumerate_world(world, Levels(world.levels("train").first, 1))
    values, find = value_iteration(mdp).values, state_finder(mdp)

    def value(rows: Rows) -> Floats:
        found, alive = np.zeros(len(rows)), rows[:, LEFT] > 0
        found[alive] = values[find(rows[alive])]
        return found

    return value


def reading(name: str, school: World) -> ValueFunction:
    """V* of the school on its rows, of one taste alone: the present one ("NOW") or the first ("FIRST")."""
    value, column = optimum(school), THETA if name == "NOW" else FIRST_THETA

    def read(rows: Rows) -> Floats:
        alike = rows.copy()
        alike[:, [THETA, FIRST_THETA, NATURAL_THETA]] = rows[:, [column]]
        return value(alike)

    return read


def asked_in(world: World, school: World, value: ValueFunction) -> ValueFunction:
    """V of the school on rows of the world with power."""
    return lambda rows: value(seen_from(school, world, rows))


def seen_from(school: World, world: World, rows: Rows) -> Rows:
    """Rows of the school that show what rows of the world with power show: tastes, step, whether it is locked.

    Their states differ in name alone: in a world with drift the clock of the state stands still after it.
    """
    state, theta, first, left = (rows[:, entry].astype(np.int64) for entry in (STATE, THETA, FIRST_THETA, LEFT))
    return _rows(school, theta=theta, first=first, steps=world.config.T - left, locked=_locked(world)[state])


def _locked(world: World) -> Ints:
    """Whether the person is locked in each state of a TRIAD, 0 or 1."""
    names = {str(Person(clock, True, True)) for clock in range(world.config.T + 1)}
    return np.array([int(name in names) for name in case_of(world.config).states])


def _rows(school: World, *, theta: Ints, first: Ints, steps: Ints, locked: Ints) -> Rows:
    """Rows of the school, whose clock runs to the end; nobody is locked at the start."""
    states = case_of(school.config).states
    names = [[str(Person(t, bool(lock and t), True)) for t in range(school.config.T + 1)] for lock in (0, 1)]
    state = np.array([[states.index(name) for name in row] for row in names])
    rows = np.zeros((len(steps), school.row_size), np.int16)
    rows[:, STATE], rows[:, NATURAL_STATE] = state[locked, steps], state[0, steps]
    rows[:, THETA], rows[:, FIRST_THETA], rows[:, NATURAL_THETA] = theta, first, first
    rows[:, LEFT] = school.config.T - steps
    return rows


def pulls(school: World, value: ValueFunction) -> dict[str, float]:
    """How much V rises by persuading and by locking, in units of what E is worth more than A in the school.

        persuading = Σ_t [V_t(E | A first) − V_t(A)] / Σ_t [V_t(E | E first) − V_t(A)],
        locking    = Σ_t [V_t(A locked) − V_t(A)]    / the same,                          t = 1..T − 1.

    A V* that reads θ_t alone has persuading 1, one that reads θ_0 alone 0, and both have locking 0.

    Args:
        school: TRIAD without drift.
        value: Its rows -> V.
    """
    steps = np.arange(1, school.config.T)

    def total(theta: str, first: str, *, locked: int = 0) -> float:
        held, began, lock = (np.full(len(steps), i) for i in (THETAS.index(theta), THETAS.index(first), locked))
        return float(value(_rows(school, theta=held, first=began, steps=steps, locked=lock)).sum())

    left_alone = total("A", "A")
    worth = total("E", "E") - left_alone
    return {
        "persuading": (total("E", "A") - left_alone) / worth,
        "locking": (total("A", "A", locked=1) - left_alone) / worth,
    }
