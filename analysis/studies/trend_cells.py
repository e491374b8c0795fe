"""The cells of T12: one arm's V is fitted again as `fitting.fit` does, and read at snapshots on the way.

The gain of the shard law is a contest between seeds, so its cell holds all seeds of a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from agents.agent import AlphaAgent
from agents.exact import value_table
from agents.losses import relative_error
from agents.values import fit_values
from analysis.arms import ARMS
from analysis.cells import CellContext, ParentResult, Row, cell_function
from analysis.predictions.ablation import locality_of
from analysis.predictions.activation import above_untrained, gating
from analysis.predictions.contest import Subject, stacked_values
from analysis.predictions.lookahead import action_values
from analysis.predictions.skill_trend import CONTEST_PREDICTION, PREDICTION, trend
from analysis.studies.checked_states import checked_states
from analysis.studies.contest_cells import COLUMNS, PREDICT, test_rows
from analysis.studies.fitting import value_settings
from analysis.studies.held_out_units import (
    NUM_LEVELS,
    cluster_seed,
    held_out_states,
    held_out_table,
    unit_contributions,
)
from analysis.studies.lessons import arm_episodes
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import RECORD, arm_agent, device_of, read_recording, setup_of, world_of_run
from envs.archives import unzipped
from envs.rows import World
from envs.tabular import TabularMDP, policy_evaluation, start_value, value_iteration

TREND, CONTEST_TREND = "comparison.skill_trend", "comparison.skill_contest"
NUM_CHECKPOINTS = 40
READ = (1, 2, 3, 5, 8, 13, 20, 40)
"""Checkpoints that are read, out of 40 evenly spread over training: closer together while skill rises."""
EQUAL_ERROR = 0.7
"""Arms are also read at the first checkpoint whose error, in sd of V^pi, is at most this (R^2 of .51); none may be."""
ARMS_READ = ("MONO", "MOE", "ROUTE", "ROUTE-RAND", "POS", "NEG-F")
"""Arms that learn from recorded outcomes in the recorded order; of these, only event labels differ."""
Look = Callable[[AlphaAgent], Row]


def snapshots(config: Mapping[str, Any], record: ParentResult, *, look: Look) -> list[Row]:
    """What `look` sees of one arm's V before training and at each checkpoint of `READ`, with step and V's error.

    The error is that against the exact V^pi on held-out levels, in standard deviations, as `fitting.fit` has it.

    Args:
        config: Of one seed: world, seed, setup, arm, regime.
        record: The seed's recording.
        look: Agent -> numbers.
    """
    setup, arm, world = setup_of(config), ARMS[config["arm"]], world_of_run(config)
    recording = read_recording(record.folder, device_of(config))
    agent = arm_agent(recording.player, arm, world, setup=setup, regime=config["regime"], replica=0)
    checked = checked_states(recording.player, world, setup)

    def seen(now: AlphaAgent, step: int) -> Row:
        values = value_table(now, world, checked.rows)
        return {"step": step, "error": relative_error(values, checked.exact, weight=checked.visits), **look(now)}

    episodes, found = arm_episodes(recording.episodes, arm, seed=config["seed"]), [seen(agent, 0)]
    steps = {round(setup.value_updates * mark / NUM_CHECKPOINTS) for mark in READ}

    def inspect(fitted: AlphaAgent, row: Row) -> bool:
        if row["step"] in steps:
            found.append(seen(fitted, row["step"]))
        return False

    fit_values(
        agent, episodes, value_settings(setup), seed=config["seed"], encoded=recording.encoded,
        num_checkpoints=NUM_CHECKPOINTS, inspect=inspect,
    )  # fmt: skip
    return found


def skill_of(agent: AlphaAgent, world: World, table: TabularMDP, *, best: float) -> float:
    """V1's exact return over the table's starts, as a share of the optimum's."""
    values = action_values(world, table.rows, lambda rows: value_table(agent, world, rows))
    policy = np.eye(world.num_actions)[values.argmax(axis=1)]
    return start_value(table, policy_evaluation(table, policy)) / best


@cell_function(TREND, version=3, seconds=20.0)
def skill_trend(context: CellContext) -> list[Row]:
    """T12 of one arm: ablation locality against skill, and T1's gating of parts beside it."""
    config, world = context.config, world_of_run(context.config)
    table = held_out_table(world, num_levels=NUM_LEVELS)
    best = start_value(table, value_iteration(table).values)
    rows, contexts = held_out_states(world, seed=config["seed"])
    seed = cluster_seed(config["seed"])

    def look(agent: AlphaAgent) -> Row:
        units = unit_contributions(agent, world, rows)
        return {
            "skill": skill_of(agent, world, table, best=best),
            "value": locality_of(units, contexts, seed=seed)["locality"],
            "gating": gating(units, contexts, seed=seed),
        }

    found = snapshots(config, context.parent(RECORD), look=look)
    above = [above_untrained(row["gating"], found[0]["gating"]) or 0.0 for row in found]
    score, *curve = _rows(found)
    beside = trend(np.array([row["skill"] for row in found]), np.array(above))
    return [score | {"slope of T1": beside.slope, "last T1": beside.last}, *curve]


@cell_function(CONTEST_TREND, version=2, seconds=120.0)
def contest_trend(context: CellContext) -> list[Row]:
    """T12-T0 of one arm: what the shard law adds, against skill, for every seed."""
    seeds = context.config["seeds"]
    seen = {seed: _contest_snapshots(context, seed) for seed in seeds}
    found: dict[int, list[Row]] = {seed: [] for seed in seeds}
    for moment, parts in enumerate(zip(*seen.values(), strict=True)):
        subjects = [part["subject"] for part in parts]
        gain = stacked_values(subjects, "abcd") - stacked_values(subjects, "abd")
        for index, seed in enumerate(seeds):
            taken = seen[seed][moment]
            kept = {name: taken[name] for name in ("step", "error", "skill")}
            found[seed].append(kept | {"value": float(gain[index])})
    return [row | {"seed": seed} for seed in seeds for row in _rows(found[seed])]


def _contest_snapshots(context: CellContext, seed: int) -> list[Row]:
    parents = {p.function: p for p in context.parents.values() if p.config["seed"] == seed}
    config = parents[RECORD].config | {name: context.config[name] for name in ("arm", "regime")}
    columns = unzipped((parents[PREDICT].folder / COLUMNS).read_bytes())
    told = {letter: columns[f"values/{letter}"] for letter in "abcd"}
    world, (rows, crossed) = world_of_run(config), test_rows(config)
    table = held_out_table(world, num_levels=NUM_LEVELS)
    best = start_value(table, value_iteration(table).values)

    def look(agent: AlphaAgent) -> Row:
        subject = Subject(told, value_table(agent, world, rows), crossed)
        return {"skill": skill_of(agent, world, table, best=best), "subject": subject}

    return snapshots(config, parents[RECORD], look=look)


def _rows(found: list[Row]) -> list[Row]:
    """The score row, and one row of kind "curve" for each snapshot."""
    fitted = trend(np.array([row["skill"] for row in found]), np.array([row["value"] for row in found]))
    facts = vars(fitted) | {"last skill": found[-1]["skill"], "first skill": found[0]["skill"]}
    facts["at equal error"] = next((row["value"] for row in found if row["error"] <= EQUAL_ERROR), None)
    return [{"kind": "score", "score": facts.pop("slope"), **facts}, *({"kind": "curve"} | row for row in found)]


TEST = LineTest(
    prediction=PREDICTION,
    cell=TREND,
    worlds=("MultiNeed",),
    title="T12: does ablation locality rise with skill during training?",
    axis="slope of T3's locality on V1's return (share of the optimum's)",
    parents=("record",),
    arms=ARMS_READ,
    shown=(
        "rank_correlation", "first", "last", "at equal error", "first skill", "last skill", "slope of T1", "last T1",
    ),
)

CONTEST_TEST = LineTest(
    prediction=CONTEST_PREDICTION,
    cell=CONTEST_TREND,
    worlds=("CrossedHistory",),
    title="T12: does the gain of the shard law rise with skill during training?",
    axis="slope of T0's gain (nats per state) on V1's return (share of the optimum's)",
    parents=("record", "log"),
    arms=ARMS_READ,
    log_cell=PREDICT,
    across_seeds=True,
    shown=("rank_correlation", "first", "last", "at equal error", "first skill", "last skill"),
)
