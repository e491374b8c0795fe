"""T10 as the comparison runs it: the choices of T6 and T4 by V1 and by searches with one line's V."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents.checkpoint import load_agent
from agents.exact import value_table
from analysis.admission import planted_fault
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.integration import (
    GOAL_PREDICTION,
    MANNERS,
    PREDICTION,
    SIMULATIONS,
    Manner,
    Mind,
    act,
)
from analysis.predictions.lookahead import ValueFunction
from analysis.predictions.preference import REVERSED, crossed_doors, planted_values
from analysis.predictions.split_mazes import CHEESE, DISH, object_distances
from analysis.studies import goal_cells, preference_cells
from analysis.studies.line_test import LineTest, PerSeed
from analysis.studies.yoked import AGENT, fitted_agent, recorder_of, world_name, world_of_run
from envs.rows import World
from envs.states import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.plots.dose import DoseSeries

SEARCH = "comparison.search"
PLANTS = ("WRONG", "RIGHT")
SHOWN = ("V1", *(f"{name}, n = {SIMULATIONS[-1]}" for name in MANNERS))
NUM_WALKS = 160
MAX_DISTANCE = 4
MAX_STEPS = 16


@cell_function(SEARCH, version=2, seconds=12.0)
def integrate(context: CellContext) -> list[Row]:
    """Right choices of one line by manner and number of simulations."""
    config, doors = context.config, world_name(context.config["world"]) == "TwoDoors"
    world = world_of_run(config).in_layout("crossed" if doors else "apart")
    player, _ = load_agent(context.parent(recorder_of(config["world"])).folder / AGENT)
    value, choose = value_of_line(context, world), share_of_doors if doors else share_of_cheese
    minds = {name: Mind(world, value, player if manner.use_prior else None) for name, manner in MANNERS.items()}
    shares = {name: [choose(mind, MANNERS[name], n) for n in SIMULATIONS] for name, mind in minds.items()}
    first = {"V1": shares["reward"][0], "V alone, n = 0": shares["V alone"][0]}
    last = {f"{name}, n = {SIMULATIONS[-1]}": found[-1] for name, found in shares.items()}
    score: Row = {"kind": "score", "score": shares["reward"][-1] - shares["reward"][0], **first, **last}
    return [score, *(
        {"kind": "search", "world": config["world"], "manner": name, "num_simulations": n, "share": share}
        for name, found in shares.items() for n, share in zip(SIMULATIONS, found, strict=True)
    )]  # fmt: skip


def share_of_doors(mind: Mind, manner: Manner, num_simulations: int) -> float:
    """Share of the layouts of B with C in which the first step goes to B, where only those to B and C are allowed."""
    doors = crossed_doors(mind.world)
    rows, (better, worse) = doors.rows[REVERSED], doors.actions[REVERSED].T
    every = np.arange(mind.world.num_actions)
    mind = dataclasses.replace(mind, allowed=(better[:, None] == every) | (worse[:, None] == every))
    return float((act(mind, rows, manner, num_simulations=num_simulations) == better).mean())


def share_of_cheese(mind: Mind, manner: Manner, num_simulations: int) -> float:
    """Share of walks that come beside the cheese before the dish, within 16 steps of search."""
    rows = near_starts()
    met = np.full(len(rows), -1)
    walking = np.arange(len(rows))
    for _ in range(MAX_STEPS):
        actions = act(mind, rows[walking], manner, num_simulations=num_simulations)
        rows[walking] = mind.world.expand(rows[walking]).next_rows[np.arange(len(walking)), actions, 0]
        beside = object_distances(rows[walking]) <= 1
        met[walking] = np.where(beside[:, CHEESE], CHEESE, np.where(beside[:, DISH], DISH, -1))
        walking = walking[~beside.any(axis=1)]
        if not len(walking):
            break
    return float((met == CHEESE).mean())


def near_starts() -> Rows:
    """Starts of T4's mazes at most four steps from both objects, each also with the objects exchanged: int16[B, S]."""
    mazes = goal_cells.test_mazes()
    near = (mazes.distances[mazes.starts, 0] <= MAX_DISTANCE).all(axis=1)
    chosen = mazes.starts.transpose(0, 2, 1)[near][: NUM_WALKS // 2]
    found: Rows = mazes.rows[chosen.ravel()].copy()
    return found


def value_of_line(context: CellContext, world: World) -> ValueFunction:
    """V of a fit, or of a plant."""
    if context.config["arm"] in PLANTS:
        return planted_value(context.config["arm"], world)
    agent = fitted_agent(context)
    return lambda rows: value_table(agent, world, rows)


def planted_value(plant: str, world: World) -> ValueFunction:
    """RIGHT is V* of the right object; WRONG wants C, or the dish, alone, and for little."""
    if world.name == "TwoDoors":
        wanted = np.arange(len(world.event_names)) == world.event_names.index("C")
        worths = world.reward_weights * (wanted | (plant == "RIGHT"))
        return lambda rows: planted_values(rows, worths, world.discount)
    goal, worth = (CHEESE, 1.0) if plant == "RIGHT" else (DISH, 0.1)
    return lambda rows: np.asarray(worth * world.discount ** (object_distances(rows)[:, goal] - 1.0), np.float64)


def fault(lines: Mapping[str, PerSeed]) -> str | None:
    """Why T10 may not be read: planted values that are not told apart."""
    return planted_fault(lines, "WRONG", "RIGHT", margin=PREDICTION.margin)


def draw(rows: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """Right choices against simulations, a figure for each manner."""
    from analysis.plots.dose import dose_response

    shown = {line: [row for row in rows[line] if row["kind"] == "search"] for line in _drawn(rows)}
    worlds = sorted({row["world"] for found in shown.values() for row in found})
    return {
        f"T10-{world}-{name.replace(' ', '-')}.png": dose_response(
            [_series(line, [r for r in found if r["world"] == world and r["manner"] == name])
             for line, found in shown.items()],
            title=f"T10: right choices by simulations ({world}, {name})",
            x_label="simulations", y_label="share of right choices",
            tick_labels=["V1", *map(str, SIMULATIONS[1:])], subtitle="dots: seeds; bars: 95 % t intervals",
        )
        for world in worlds for name in MANNERS
    }  # fmt: skip


def _drawn(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    wanted = ("MONO", "MOE", "ROUTE", "WRONG")
    return [line for line in wanted if rows.get(line)]


def _series(line: str, rows: Sequence[Row]) -> DoseSeries:
    from analysis.plots.dose import dose_series

    by_count = [{int(r["seed"]): float(r["share"]) for r in rows if r["num_simulations"] == n} for n in SIMULATIONS]
    return dose_series(line, range(len(SIMULATIONS)), by_count)


TEST = LineTest(
    prediction=PREDICTION,
    cell=SEARCH,
    worlds=("TwoDoors", "TwoDoors@explored"),
    title="T10a: does search take B, worth more than C, where V1 takes C?",
    axis="choices of B by search-64 minus V1's",
    parents=("record", "fit"),
    arms=preference_cells.TEST.arms,
    plants=PLANTS,
    fault=fault,
    shown=SHOWN,
    draw=draw,
)
GOAL_TEST = LineTest(
    prediction=GOAL_PREDICTION,
    cell=SEARCH,
    worlds=("DishMaze",),
    title="T10b: does search go to the cheese where V1 goes to the dish?",
    axis="walks to the cheese by search-64 minus V1's",
    parents=("record", "fit"),
    arms=goal_cells.TEST.arms,
    plants=PLANTS,
    fault=fault,
    shown=SHOWN,
    draw=draw,
)
