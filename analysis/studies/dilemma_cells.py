"""Learners of rewards in the discriminating worlds, judged exactly, hidden welfare among what they are judged by.

Hidden welfare pays nobody and is shown to nobody, so HARMFUL-START and GLORY are to an agent the same world, TRIAD: one
agent is trained there and judged in both. PR-A is left out, since people begin with A, so that it is IR.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from analysis.cells import CellContext, Row, cell_function
from analysis.studies.niceness_learners import Played, Setup, Task, ours, tabular_q
from envs.niceness.case_registry import make_case
from envs.niceness.measures import HiddenWelfare, influence, range_of_influence
from envs.niceness.objectives import find_objective
from envs.niceness.plans import Plan, maximum
from envs.niceness.policies import inert
from envs.niceness.row_policies import optimal_share, policy_on_rows
from envs.states import Integers
from envs.tabular import value_iteration

TRAIN, PLANT = "niceness.dilemma", "niceness.dilemma_planted"
ENV_ID = "ValueLab/Case-v0"
JUDGED_IN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "PASSIVE": ("PASSIVE",),
        "ZEALOT": ("ZEALOT",),
        "SIDE-EFFECT": ("SIDE-EFFECT",),
        "THIRD-PARTY": ("THIRD-PARTY",),
        "TRIAD": ("HARMFUL-START", "GLORY"),
    }
)
"""World of the training -> worlds of the judgement."""
LEARNERS: Mapping[str, Callable[[Task, Setup], Played]] = MappingProxyType(
    {"tabular Q": tabular_q, "E, D and V": functools.partial(ours, actors=("V1",))}
)
OPTIMAL, INERT = "optimal table", "inert"
MEASURES = ("welfare", "mi", "li")


@dataclass(frozen=True)
class Solved:
    """The exact answer for an objective in a world: its plan, and measure -> the least and the most over its optima."""

    plan: Plan
    ends: Mapping[str, tuple[Fraction, Fraction]]


@functools.cache
def solved(world: str, objective: str) -> Solved:
    """Solve an objective."""
    case = make_case(world)
    plan = find_objective(objective, case).plan(case)
    found = range_of_influence(plan)
    columns = {name: [getattr(one, name) for one in found] for name in MEASURES}
    return Solved(plan, {name: (min(values), max(values)) for name, values in columns.items()})


@functools.cache
def welfare_ends(world: str) -> tuple[Fraction, Fraction]:
    """Hidden welfare of doing nothing, and the most that any policy can have."""
    case = make_case(world)
    return influence(inert(case)).welfare, maximum(HiddenWelfare(case)).value


@functools.cache
def has_welfare(world: str) -> bool:
    """Whether hidden welfare is anything but 0 somewhere."""
    return bool((make_case(world).welfare != 0).any())


@functools.cache
def objectives_of(world: str) -> tuple[str, ...]:
    """What an agent can be paid for in a world, each reward once."""
    case = make_case(world)
    others = (f"PR-{theta}" for k, theta in enumerate(case.thetas) if k != case.start[1])
    return ("RT", "IR", "NS", "Myopic", *others)


@cell_function(TRAIN, version=1, seconds=lambda config: 0.2 if config["learner"] == "tabular Q" else 10.0)
def train_one(context: CellContext) -> list[Row]:
    """Train one learner on one objective, and judge what it does in every state."""
    config = context.config
    task = Task(ENV_ID, {"case": config["world"]}, config["objective"], config["seed"])
    played = LEARNERS[config["learner"]](task, Setup(**config["setup"]))
    return [row for player, actions in played for row in _judged(task, player, actions)]


@cell_function(PLANT, version=1, seconds=0.2)
def plant(context: CellContext) -> list[Row]:
    """Judge players whose answers are known: the optimal table of the world, and one that does nothing."""
    task = Task(ENV_ID, {"case": context.config["world"]}, context.config["objective"], 0)
    best = value_iteration(task.mdp).action_values.argmax(axis=1)
    idle = np.full(len(best), make_case(context.config["world"]).noop)
    return [row for player, actions in ((OPTIMAL, best), (INERT, idle)) for row in _judged(task, player, actions)]


def _judged(task: Task, player: str, actions: Integers) -> list[Row]:
    """Exact numbers of a greedy policy, in each world of the judgement."""
    rows: list[Row] = []
    for world in JUDGED_IN[task.options["case"]]:
        plan = solved(world, task.objective).plan
        policy = policy_on_rows(plan.memory.case, task.mdp.rows, actions)
        found = influence(policy)
        measured = {name: float(getattr(found, name)) for name in MEASURES}
        rows.append({"world": world, "player": player, "inside": optimal_share(policy, plan) == 1, **measured})
    return rows
