"""The comparison: does a bunch of shards predict anything that "V is a neural network" does not?

A plan names arms, tests, seeds and sizes; `cells_of` turns it into cells of a study; `run_comparison` runs them, scores
them (`comparison_scores`), writes the figures (`comparison_figures`) and says what was found (`comparison_words`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from analysis import preregistration as registry
from analysis.arms import ARMS, contrasts_among, find_arms
from analysis.cells import Cell
from analysis.predictions import ablation, contest, crossed_history, locality
from analysis.predictions.crossed_history import MARGIN_AGAINST_ZERO
from analysis.predictions.prediction import Prediction
from analysis.studies import comparison_figures, comparison_tables, comparison_words
from analysis.studies.comparison_scores import Scores, score
from analysis.studies.contest_cells import CONTEST, PLANTS, PREDICT
from analysis.studies.crossing_cells import CROSS
from analysis.studies.need_cells import ABLATE, FLIP
from analysis.studies.yoked import FIT, RECORD, Setup
from analysis.study import Progress, StudyResult, run_study
from analysis.study_table import export_parquet
from envs.errors import UserError, nearest, require_integer
from envs.storage import write_bytes

TESTS = MappingProxyType(
    {module.PREDICTION.key: module.PREDICTION for module in (contest, crossed_history, ablation, locality)}
)
"""All tests by name, in the order of tables."""

SETUPS = MappingProxyType(
    {
        "CrossedHistory": Setup(
            num_demonstrations=10_000, imitation_updates=1500, value_updates=1000, learning_rate=3e-3
        ),
        "MultiNeed": Setup(value_updates=2000, learning_rate=5e-3, route_encoder="global"),
    }
)
"""Sizes by world. Routed credit reaches E on CrossedHistory; on MultiNeed, where that does not fit, E is global."""

PRESETS = MappingProxyType(
    {
        "quick": {"num_seeds": 3, "arms": tuple(ARMS), "tests": ("T0", "CrossedHistory")},
        "first": {"num_seeds": 20, "arms": tuple(ARMS), "tests": tuple(TESTS)},
    }
)


@dataclasses.dataclass(frozen=True)
class ComparisonPlan:
    """What is run.

    Attributes:
        preset: The preset that it started from.
        arms: Names in `analysis.arms.ARMS`.
        tests: Keys of `TESTS`.
        seeds: Run seeds.
        setups: Sizes by world.
        device: Where networks run, "cpu" or "cuda"; it is part of a cell only where it is not the CPU.
    """

    preset: str
    arms: tuple[str, ...]
    tests: tuple[str, ...]
    seeds: tuple[int, ...]
    setups: MappingProxyType[str, Setup]
    device: str = "cpu"

    def on_crossed(self) -> bool:
        """Whether any test runs on CrossedHistory."""
        return "T0" in self.tests or "CrossedHistory" in self.tests

    def on_needs(self) -> bool:
        """Whether any test runs on MultiNeed."""
        return "T3" in self.tests or "T5" in self.tests


@dataclasses.dataclass(frozen=True)
class ComparisonResult:
    """What a comparison leaves.

    Attributes:
        folder: Where everything lies.
        study: The study's result; its exit code is the command's.
        scores: Per-seed scores, verdicts and admissions.
        words: The summary, plain text.
        table: Rows for a table: test, arm, score with interval, verdict.
        figures: Paths of the figures.
        deviations: How the run departs from its preregistration; () if it has none or does not depart.
    """

    folder: Path
    study: StudyResult
    scores: Scores
    words: str
    table: tuple[dict[str, str], ...]
    figures: tuple[Path, ...]
    deviations: tuple[str, ...]


def make_plan(
    preset: str = "quick",
    *,
    arms: Sequence[str] | None = None,
    tests: Sequence[str] | None = None,
    num_seeds: int | None = None,
    first_seed: int = 0,
    device: str = "cpu",
    setups: dict[str, Setup] | None = None,
) -> ComparisonPlan:
    """The plan of a preset, with what is given in place of its own.

    Args:
        preset: "quick" or "first".
        arms: Names of arms.
        tests: Names of tests.
        num_seeds: Number of seeds; at least 2, since T0 stacks on other seeds.
        first_seed: The lowest seed; the others follow it.
        device: "cpu" or "cuda".
        setups: Sizes by world, for trials with small nets.

    Raises:
        UserError: An unknown name, a repeated one, or fewer than 2 seeds.
    """
    if preset not in PRESETS:
        raise UserError(f"There is no preset {preset!r}; there are {', '.join(PRESETS)}.{nearest(preset, PRESETS)}")
    chosen = PRESETS[preset]
    tests = tuple(chosen["tests"] if tests is None else tests)  # type: ignore[arg-type]
    for name in tests:
        if name not in TESTS:
            raise UserError(f"There is no test {name!r}; the tests are {', '.join(TESTS)}.{nearest(name, TESTS)}")
    if not tests or len(set(tests)) < len(tests):
        raise UserError(f"Tests are {list(tests)}; name at least one, and each once.")
    count = chosen["num_seeds"] if num_seeds is None else num_seeds
    if not isinstance(count, int) or count < 2:
        raise UserError(
            f"The number of seeds is {count}; at least 2 are needed, since T0 is fitted on the other seeds."
        )
    require_integer("first_seed", first_seed, low=0, high=2**31)
    names = tuple(arm.name for arm in find_arms(chosen["arms"] if arms is None else arms))  # type: ignore[arg-type]
    seeds = tuple(range(first_seed, first_seed + count))
    sizes = MappingProxyType({**SETUPS, **(setups or {})})
    return ComparisonPlan(preset, names, tests, seeds, sizes, device)


def frozen(plan: ComparisonPlan) -> dict[str, Any]:
    """The plan as a JSON object: what a preregistration freezes."""
    tests: dict[str, Prediction] = {name: TESTS[name] for name in plan.tests}
    return {
        "preset": plan.preset, "arms": list(plan.arms), "seeds": list(plan.seeds),
        "tests": {name: test.frozen() for name, test in tests.items()},
        "margins": {name: test.margin for name, test in tests.items()}
        | ({"CrossedHistory, against 0": MARGIN_AGAINST_ZERO} if "CrossedHistory" in tests else {}),
        "contrasts": [list(contrast) for contrast in contrasts_among(plan.arms)],
        "setups": {world: dataclasses.asdict(setup) for world, setup in plan.setups.items()},
        "cells": sorted({f"{cell.function} v{cell.version}" for cell in cells_of(plan)}),
    }  # fmt: skip


def cells_of(plan: ComparisonPlan) -> list[Cell]:
    """All cells: a recording per world and seed, the fits, and the tests on them."""
    cells = _needs_cells(plan) if plan.on_needs() else []
    return cells + (_crossed_cells(plan) if plan.on_crossed() else [])


def _base(plan: ComparisonPlan, world: str, seed: int) -> dict[str, Any]:
    placed = {} if plan.device == "cpu" else {"device": plan.device}
    return {"world": world, "seed": seed, "setup": dataclasses.asdict(plan.setups[world]), **placed}


def _needs_cells(plan: ComparisonPlan) -> list[Cell]:
    cells = []
    for seed in plan.seeds:
        base = _base(plan, "MultiNeed", seed)
        record = Cell(RECORD, base)
        cells.append(record)
        for arm in plan.arms:
            config = base | {"arm": arm, "regime": "scratch", "replica": 0}
            fit = Cell(FIT, config, parents=(record,))
            cells.append(fit)
            cells += [Cell(ABLATE, config, parents=(fit,))] if "T3" in plan.tests else []
            cells += [Cell(FLIP, config, parents=(fit, record))] if "T5" in plan.tests else []
    return cells


def _crossed_cells(plan: ComparisonPlan) -> list[Cell]:
    cells: list[Cell] = []
    lines = [(arm, "scratch") for arm in plan.arms] + ([("MONO", "imitated")] if "MONO" in plan.arms else [])
    contests: dict[tuple[str, str], list[Cell]] = {line: [] for line in [*lines, *((plant, "-") for plant in PLANTS)]}
    for seed in plan.seeds:
        base = _base(plan, "CrossedHistory", seed)
        record = Cell(RECORD, base)
        predict = Cell(PREDICT, base, parents=(record,))
        cells += [record, predict] if "T0" in plan.tests else [record]
        for plant in PLANTS:
            contests[plant, "-"].append(predict)
        for arm, regime in lines:
            config = base | {"arm": arm, "regime": regime}
            fits = [Cell(FIT, config | {"replica": replica}, parents=(record,)) for replica in (0, 1)]
            cells += fits if "T0" in plan.tests else fits[:1]
            cells += [Cell(CROSS, config, parents=fits[:1])] if "CrossedHistory" in plan.tests else []
            contests[arm, regime] += [predict, *fits]
    if "T0" in plan.tests:
        base = {"world": "CrossedHistory", "seeds": list(plan.seeds)}
        for (arm, regime), parents in contests.items():
            cells.append(Cell(CONTEST, base | {"arm": arm, "regime": regime}, parents=parents))
    return cells


def run_comparison(
    plan: ComparisonPlan,
    folder: Path | str,
    *,
    workers: int = 2,
    progress: Callable[[Progress], None] | None = None,
    preregistration: Path | None = None,
) -> ComparisonResult:
    """Run what is not finished, score it, and write table, figures and summary.

    Args:
        plan: From `make_plan`.
        folder: The study's folder; a stopped study goes on where it was, and seeds can be added later.
        workers: Local processes; 0 computes in this one. The numbers do not depend on it.
        progress: Called after each cell.
        preregistration: A frozen plan; departures from it are named in the summary.

    Raises:
        UserError: The folder cannot be written, or the frozen plan cannot be read; before anything is computed.
    """
    folder = Path(folder)
    cells = cells_of(plan)
    if preregistration is not None:
        registry.check(frozen(plan), preregistration)
    study = run_study(cells, folder, workers=workers, progress=progress)
    deviations = () if preregistration is None else tuple(registry.check(frozen(plan), preregistration, study=folder))
    export_parquet(folder)
    scores = score(folder, cells, arms=plan.arms, tests=[TESTS[name] for name in plan.tests], seeds=plan.seeds)
    figures = comparison_figures.draw(scores, folder / "figures")
    words = comparison_words.summary(scores, study, deviations=deviations, registered=preregistration is not None)
    write_bytes(folder / "summary.txt", (words + "\n").encode())
    write_bytes(folder / "tables.md", comparison_tables.markdown(scores).encode())
    write_bytes(folder / "scores.csv", comparison_tables.csv_of(scores))
    return ComparisonResult(folder, study, scores, words, comparison_words.table(scores), figures, deviations)
