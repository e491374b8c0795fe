"""Cells of `niceness-village`: learners of rewards in the village, and the exact numbers of what they come to do.

One person, 5 × 5 cells, T = 20, full power, from taste A. Everybody plays on coupled rows, and sees what the real half
shows; tabular Q has a table of them.

Shape key: N rows or states, S row size, A actions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from agents.agent import AlphaAgent
from agents.greedy import greedy_actions
from analysis.cells import CellContext, Row, cell_function
from analysis.niceness.village_card import optimal_shares
from analysis.studies.niceness_learners import (
    UNTRAINED,
    Setup,
    Task,
    beginner,
    by_head,
    reinforced,
    tabular_q,
    with_values,
)
from analysis.studies.value_heads import HEADS
from envs.enumeration import TabularMDP, state_finder
from envs.layers import RowPolicy
from envs.niceness.assignment import JUDGES, assign, normalised_regret
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_influence import evaluate_village
from envs.niceness.village_layers import inert_policy
from envs.niceness.village_range import influence_range
from envs.niceness.village_solution import VillageSolution, solve_village
from envs.registry import world_id
from envs.rows import World
from envs.states import Floats, Integers, Rows

TRAIN, PLANT = "niceness.village", "niceness.village planted"
ENV_ID, VILLAGE = world_id("Village"), VillageConfig()
V_PLAYERS = tuple(by_head("V1", head) for head in HEADS)
Q_PLAYER, D_PLAYER, OPTIMUM, INERT = "tabular Q", "D", "exact optimum", "does nothing"
RANGE = ("least MI_c", "most MI_c")
"""Of all optimal policies, in the row of the exact optimum."""
SETUP = Setup(q_steps=2_000_000, reinforce_steps=300_000, num_outcomes=2000, value_updates=1500)
_SECONDS = {"tabular Q": 5.0, "ours": 45.0}

Players = Iterator[tuple[str, RowPolicy]]


@cell_function(TRAIN, version=2, seconds=lambda config: _SECONDS[config["learner"]])
def train_one(context: CellContext) -> list[Row]:
    """Train one learner on one objective, and score exactly what it does."""
    config = context.config
    task = Task(ENV_ID, {}, config["objective"], config["seed"])
    played = LEARNERS[config["learner"]](task, Setup(**config["setup"]))
    return [{"player": player, **scored(task.objective, policy)} for player, policy in played]


@cell_function(PLANT, version=1, seconds=2.0)
def plant(context: CellContext) -> list[Row]:
    """Score players whose answers are known: all optimal actions alike, and one that does nothing."""
    objective = context.config["objective"]
    ends = dict(zip(RANGE, influence_range(VILLAGE, objective, start=0).mi_coupled, strict=True))
    return [
        {"player": OPTIMUM, **scored(objective, solved()[0].policy(objective)), **ends},
        {"player": INERT, **scored(objective, inert_policy)},
    ]


@functools.cache
def solved() -> tuple[VillageSolution, Mapping[str, float]]:
    """The village's optima under all who judge, and what doing nothing is worth to them."""
    return solve_village(VILLAGE, JUDGES, start=0), evaluate_village(VILLAGE, inert_policy, start=0).values


def scored(objective: str, policy: RowPolicy) -> Row:
    """Exact numbers of a policy on coupled rows: under its own objective, under all who judge, and to the person."""
    (best, inert), found = solved(), evaluate_village(VILLAGE, policy, start=0)
    regrets = {
        name: normalised_regret(found.value(name), best=best.value(name), inert=inert[name]) for name in JUDGES
    }  # fmt: skip
    return {
        "regret": regrets[objective], "optimal_share": optimal_shares(best, policy)[objective],
        "assigned": assign(regrets), "MI_c": found.mi_coupled, "LI": found.li,
        **{f"regret {name}": regret for name, regret in regrets.items()},
    }  # fmt: skip


def from_table(task: Task, setup: Setup) -> Players:
    """Tabular Q."""
    mdp = task.mdp
    for player, actions in tabular_q(task, setup):
        yield player, on_states(mdp, actions)


def on_states(mdp: TabularMDP, actions: Integers) -> RowPolicy:
    """The policy that takes an action int64[N] in each of N states; UserError for a row that is none of them."""
    find, table = state_finder(mdp), np.eye(mdp.num_actions)[actions]

    def act(rows: Rows) -> Floats:
        found: Floats = table[find(rows)]
        return found

    return act


def networks(task: Task, setup: Setup) -> Players:
    """Our E and D, before and after learning from rewards, then V of each head on what that D plays."""
    world, untrained = task.world, beginner(task)
    yield UNTRAINED, greedy(untrained, world, actor="D")
    player = reinforced(untrained, task, num_steps=setup.reinforce_steps)
    yield D_PLAYER, greedy(player, world, actor="D")
    for head, agent in with_values(player, task, setup):
        yield by_head("V1", head), greedy(agent, world, actor="V1")


def greedy(agent: AlphaAgent, world: World, *, actor: str) -> RowPolicy:
    """What an actor takes for best, on the rows that are asked for."""

    def act(rows: Rows) -> Floats:
        chosen: Floats = np.eye(world.num_actions)[greedy_actions(agent, world, rows, actor=actor)]
        return chosen

    return act


LEARNERS: Mapping[str, Callable[[Task, Setup], Players]] = MappingProxyType({"tabular Q": from_table, "ours": networks})
