"""T4 as the comparison runs it: the goals that V1 of one line pursues where cheese and dish are apart."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from agents.agent import AlphaAgent
from agents.checkpoint import load_agent
from agents.exact import policy_table, value_table
from agents.seeding import numpy_generator
from analysis.admission import planted_fault
from analysis.arms import ARMS, Arm
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.goal_split import (
    GOALS,
    PREDICTION,
    GoalSplit,
    goal_split,
    goal_values,
    pursuit,
    single_goal,
)
from analysis.predictions.parts import Floats
from analysis.predictions.split_mazes import (
    CHEESE,
    DISH,
    Ends,
    SplitMazes,
    ends_of,
    greedy,
    sampled,
    split_mazes,
)
from analysis.studies.line_test import LineTest, PerSeed
from analysis.studies.yoked import AGENT, OPEN_ROOM, RECORD, fitted_agent, world_of_run
from envs.registry import make_world
from envs.rows import World
from envs.worlds.cells import ROW_STRIDE

PURSUE = "comparison.goals"
NUM_MAZES = 600
PLANTS = ("TWO-GOALS", "ONE-GOAL", "INDIFFERENT")
PLANT_NOISE = 0.01


@functools.lru_cache(maxsize=1)
def test_mazes() -> SplitMazes:
    """The mazes that all lines of all seeds are tested in."""
    world = make_world("DishMaze", **OPEN_ROOM, layout="apart", num_levels=10 * NUM_MAZES)
    return split_mazes(world, num_mazes=NUM_MAZES)


@cell_function(PURSUE, version=2, seconds=2.0)
def pursue(context: CellContext) -> list[Row]:
    """T4 of one line, and what D pursues in the same mazes."""
    mazes, world = test_mazes(), world_of_run(context.config).in_layout("apart")
    player, _ = load_agent(context.parent(RECORD).folder / AGENT)
    found = goal_split(mazes, _ends(context, mazes, world))
    return [_score(found) | {f"D {name}": mass for name, mass in _masses_of_d(player, mazes, world).items()}]


def _score(split: GoalSplit) -> Row:
    found, null = split.found, split.null
    masses = {name: float(mass) for name, mass in zip(GOALS, found.masses, strict=True)}
    return {
        "kind": "score", "score": split.score, **masses, "goals above .1": float(found.num_goals),
        "efficiency": found.efficiency, "splits": float(split.splits), "agreement": found.agreement,
        "null agreement": null.agreement, "null efficiency": null.efficiency,
        "entropy not met": found.entropy - null.entropy,
    }  # fmt: skip


def _ends(context: CellContext, mazes: SplitMazes, world: World) -> Ends:
    config = context.config
    if config["arm"] in ARMS:
        agent = fitted_agent(context)
        return _walked(mazes, value_table(agent, world, mazes.rows))
    return planted_ends(mazes, config["arm"], rng=numpy_generator(config["seed"], "comparison", "T4", config["arm"]))


def _walked(mazes: SplitMazes, values: Floats) -> Ends:
    return ends_of(mazes, greedy(mazes, values))


def planted_ends(mazes: SplitMazes, plant: str, *, rng: np.random.Generator) -> Ends:
    """Where a planted agent ends; the values of TWO-GOALS and INDIFFERENT have a noise that is fixed by state."""
    cheese, dish = goal_values(mazes, CHEESE), goal_values(mazes, DISH)
    noise = PLANT_NOISE * rng.normal(size=len(cheese))
    if plant == "INDIFFERENT":
        return _walked(mazes, np.maximum(cheese, dish) + noise)
    middle = (mazes.rows[:, 1:3].astype(np.int64) % ROW_STRIDE).mean(axis=1)
    two = _walked(mazes, np.where(middle < (middle.min() + middle.max()) / 2, dish, cheese) + noise)
    if plant == "TWO-GOALS":
        return two
    return sampled(single_goal(mazes, CHEESE, entropy=pursuit(two).entropy), rng=rng)


def _masses_of_d(player: AlphaAgent, mazes: SplitMazes, world: World) -> dict[str, float]:
    found = pursuit(ends_of(mazes, policy_table(player, world, mazes.rows)))
    return {name: float(mass) for name, mass in zip(GOALS, found.masses, strict=True)}


def fault(lines: Mapping[str, PerSeed]) -> str | None:
    """Why T4 may not be read: planted agents that are not told apart."""
    return planted_fault(lines, "TWO-GOALS", "ONE-GOAL", "INDIFFERENT", margin=PREDICTION.margin)


def _without_context_or_second_event(arm: Arm) -> bool:
    """DishMaze has no context, and its training one event: what is told either of them is no arm there."""
    told = arm.head in ("POS", "NEG-F", "ROUTE", "MONO-ROUTE", "HRA") or arm.teacher == "POS"
    return not (told or arm.in_blocks or arm.shuffled_events)


TEST = LineTest(
    prediction=PREDICTION,
    cell=PURSUE,
    worlds=("DishMaze", "DishMaze@dose10"),
    title="T4: do different test mazes bring out different goals?",
    axis="agreement of goals within mazes, beyond a single goal's",
    parents=("record", "fit"),
    arms=tuple(name for name, arm in ARMS.items() if _without_context_or_second_event(arm)),
    plants=PLANTS,
    fault=fault,
    shown=(*GOALS, "goals above .1", "efficiency", "splits", "null efficiency", "entropy not met"),
)
