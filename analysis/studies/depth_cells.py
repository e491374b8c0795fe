"""How far an agent must look ahead before influence pays: exact look-ahead, and search with the true reward.

Two arenas, TRIAD and the village with one person, each from its own start. Both planners know the transitions and the
reward of an objective, and plan anew at each step:

    exact    the best of the next H steps, nothing counted after them (`envs.niceness.depth`)
    search   a tree of n simulations with a uniform prior; leaves are worth 0, or V*, the control that must succeed.
             Q is scaled by its spread at each node, or by a range that all returns lie in: steps × span of a reward

Between equals a search takes the first action, which is a matter of names. So the prior of a seed is uniform but for
numbers below 1e-6, which decide between equals and nothing else; with one simulation that is all that decides.
What a search does in each state that it comes to is evaluated exactly, and nothing is sampled.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from agents.search import SearchConfig, SearchTable, search_table
from agents.search_config import SearchRule
from agents.seeding import numpy_generator
from analysis.cells import CellContext, Row, cell_function
from envs.coupling import real_half
from envs.enumeration import TabularMDP, enumerate_world, state_finder
from envs.niceness.assignment import normalised_regret
from envs.niceness.case_configs import case_of
from envs.niceness.contrasts import judges, regrets, utility_of
from envs.niceness.depth import planned_to_depth
from envs.niceness.measures import influence, range_of_influence
from envs.niceness.row_policies import policy_on_rows
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_influence import evaluate_village
from envs.niceness.village_layers import inert_policy
from envs.niceness.village_range import influence_range
from envs.niceness.village_row import ACTIONS
from envs.niceness.village_solution import solve_village
from envs.registry import make_world
from envs.rows import World
from envs.states import Floats, Integers, Rows
from envs.tabular import value_iteration

EXACT, SEARCH = "niceness.look_ahead", "niceness.look_by_search"
TIE_BREAK = 1e-6
RULES: tuple[SearchRule, ...] = ("gumbel", "puct")
SCALES = ("node", "range")
LEAVES = ("0", "V*")

Act = Callable[[Integers], Integers]
"""Numbers of states int64[N] -> actions int64[N]."""


@dataclass(frozen=True)
class Arena:
    """A world at one power, for one objective.

    Attributes:
        mdp: What the agent plans in.
        look_ahead: Depth -> influence of exact plans of that depth, least and most among ties.
        judge: What a player does to people, and what it earns.
        num_steps: Depth of the full plan.
    """

    mdp: TabularMDP
    look_ahead: Callable[[int], tuple[float, float]]
    judge: Callable[[Act], Row]
    num_steps: int

    @property
    def range_of_returns(self) -> float:
        """Steps times the greatest reward minus the least: what is known before any search."""
        rewards = self.mdp.components @ self.mdp.reward_weights
        return self.num_steps * float(np.ptp(rewards[self.mdp.probability > 0]))


def triad_arena(kappa: float, objective: str) -> Arena:
    """TRIAD; influence is MI."""
    world = make_world("ValueLab/Triad-v0", kappa=kappa, objective=objective)
    case, mdp = case_of(world.config), _listed(world)

    def look_ahead(depth: int) -> tuple[float, float]:
        found = [float(one.mi) for one in range_of_influence(planned_to_depth(utility_of(objective, case), depth))]
        return min(found), max(found)

    def judge(act: Act) -> Row:
        policy = policy_on_rows(case, mdp.rows, act(np.arange(mdp.num_states)))
        found, regret = influence(policy), regrets(policy, judges(case, [objective]))[objective].normalised
        assert regret is not None
        return {"influence": float(found.mi), "LI": float(found.li), "gained": 1.0 - float(regret)}

    return Arena(mdp, look_ahead, judge, case.horizon)


def village_arena(kappa: float, objective: str) -> Arena:
    """The village; influence is MI_c, which ties can be searched for."""
    config = VillageConfig(kappa_p=kappa, kappa_g=kappa)
    mdp = _listed(make_world("ValueLab/Village-v0", kappa_p=kappa, kappa_g=kappa, objective=objective, twin=False))
    find = state_finder(mdp)
    best = solve_village(config, [objective], start=0).value(objective)
    inert = evaluate_village(config, inert_policy, start=0).values[objective]

    def look_ahead(depth: int) -> tuple[float, float]:
        return influence_range(config, objective, depth=depth, start=0).mi_coupled

    def judge(act: Act) -> Row:
        def policy(rows: Rows) -> Floats:
            chosen: Floats = np.eye(len(ACTIONS))[act(find(real_half(rows)))]
            return chosen

        found = evaluate_village(config, policy, start=0)
        gained = 1.0 - normalised_regret(found.values[objective], best=best, inert=inert)
        return {"influence": found.mi_coupled, "LI": found.li, "gained": gained}

    return Arena(mdp, look_ahead, judge, config.dials.horizon)


ARENAS: Mapping[str, Callable[[float, str], Arena]] = MappingProxyType({"TRIAD": triad_arena, "village": village_arena})


@functools.cache
def arena(name: str, kappa: float, objective: str) -> Arena:
    """An arena, made once a process."""
    return ARENAS[name](kappa, objective)


def _listed(world: World) -> TabularMDP:
    return enumerate_world(world, world.levels("train"))


@cell_function(EXACT, version=1, seconds=12.0)
def look_ahead(context: CellContext) -> list[Row]:
    """Influence of the exact planner at every depth."""
    where = (context.config["arena"], context.config["kappa"])
    found = {objective: arena(*where, objective) for objective in context.config["objectives"]}
    rows = []
    for objective, one in found.items():
        for depth in range(1, one.num_steps + 1):
            least, most = one.look_ahead(depth)
            rows.append({"objective": objective, "depth": depth, "least": least, "most": most})
    return rows


@cell_function(SEARCH, version=2, seconds=6.0)
def look_by_search(context: CellContext) -> list[Row]:
    """What one seed's searches do, by objective, leaves, rule, scale and simulations."""
    config = context.config
    return [
        {"objective": objective, **row}
        for objective in config["objectives"]
        for row in _searches(arena(config["arena"], config["kappa"], objective), config["simulations"], config["seed"])
    ]


def _searches(one: Arena, simulations: list[int], seed: int) -> Iterator[Row]:
    shape = (one.mdp.num_states, one.mdp.num_actions)
    prior = TIE_BREAK * numpy_generator(seed, "look-ahead", "ties").random(shape)
    ranges = {"node": None, "range": one.range_of_returns}
    for leaves in LEAVES:
        values = value_iteration(one.mdp).values if leaves == "V*" else None
        table = SearchTable(one.mdp, logits=prior, values=values)
        for rule, scale, n in itertools.product(RULES, SCALES, simulations):
            config = SearchConfig(rule=rule, q_range=ranges[scale], num_simulations=n)
            where = {"rule": rule, "scale": scale, "leaves": leaves, "simulations": n}
            yield {**where, **one.judge(functools.partial(search_actions, table, config=config))}


def search_actions(table: SearchTable, states: Integers, *, config: SearchConfig) -> Integers:
    """What a search does in each of some states."""
    return search_table(table, states, config=config).actions
