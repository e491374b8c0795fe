"""From the rows of a comparison to per-seed scores, admissions and verdicts.

A line is an arm under an E regime, written "MONO" or "MONO (imitated E)", or a planted agent. {seed: number} maps a run
seed to its one number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.admission import Admission
from analysis.arms import ARMS, Line, contrasts_among
from analysis.cells import Row
from analysis.predictions.parts import Floats
from analysis.predictions.prediction import Prediction
from analysis.statistics import paired_differences
from analysis.studies.admitting import admission_of, controls_fault
from analysis.studies.line_test import Lines, LineTest
from analysis.studies.matching import matching_fault
from analysis.studies.plan import ComparisonPlan, cells_of
from analysis.studies.tests import TESTS
from analysis.studies.yoked import FIT
from analysis.study import read_study
from analysis.verdicts import Verdict, decide


@dataclasses.dataclass(frozen=True)
class ScoresOfTest:
    """One test's scores in one world.

    Attributes:
        test: The test.
        world: Where.
        lines: Line -> per-seed score, in the order of tables.
        against_zero: Line -> its verdict against 0, where the test has such.
        contrasts: Contrast -> its verdict, where the test has such.
        admission: Whether the metric may be read; None where it needs no admission or its controls were not run.
        controls: Why no verdict may be read, None where the controls came out.
        extra: Name of a secondary reading -> line -> per-seed number.
        rows: Line -> all rows of its cells, with the seed, for the test's own figures.
    """

    test: LineTest
    world: str
    lines: Lines
    against_zero: Mapping[str, Verdict]
    contrasts: Mapping[str, Verdict]
    admission: Admission | None
    controls: str | None
    extra: Mapping[str, Lines]
    rows: Mapping[str, Sequence[Row]]

    @property
    def prediction(self) -> Prediction:
        """Question, metric, margin and rule."""
        return self.test.prediction


@dataclasses.dataclass(frozen=True)
class Scores:
    """All scores of a comparison.

    Attributes:
        tests: "T5" -> its scores, or "T5, MultiNeed" where it ran in several worlds; in the order of the plan.
        fits: World -> line -> per-seed R^2 of V against the exact V^pi on held-out levels, under the policy's visits.
        parameters: World -> line -> parameters of V∘E.
        curves: World -> line -> {seed: [(step, R^2)]}.
        credit: World -> line of several parts -> {seed: share of the credit for each kind of event that each part got,
            float[parts, kinds], NaN for a kind that never was}.
        num_seeds: Seeds of the plan.
        multiply_adds: World -> line -> multiply-adds of one value.
    """

    tests: dict[str, ScoresOfTest]
    fits: dict[str, Lines]
    parameters: dict[str, dict[str, int]]
    curves: dict[str, dict[str, dict[int, list[tuple[int, float]]]]]
    credit: dict[str, dict[str, dict[int, Floats]]]
    num_seeds: int
    multiply_adds: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Cell:
    function: str
    config: Mapping[str, Any]
    rows: Sequence[Row]

    @property
    def line(self) -> str:
        return str(Line(self.config["arm"], self.config["regime"]))

    def with_seeds(self) -> list[Row]:
        """The rows, each with its seed."""
        return [{"seed": self.config.get("seed"), **row} for row in self.rows]


def score(folder: Path, plan: ComparisonPlan) -> Scores:
    """Read a study's folder and apply every test's rule.

    Args:
        folder: The study's folder; what it holds beside the plan's cells is left aside.
        plan: What was run; verdicts name its seeds that are missing.
    """
    planned = {cell.hash for cell in cells_of(plan) if "arm" in cell.config}
    finished = [record for record in read_study(folder, planned) if record.status == "finished"]
    cells = [_Cell(record.function, record.config, record.rows) for record in finished]
    parameters, steps, products = (_largest(cells, plan, name) for name in ("parameters", "step", "multiply_adds"))
    faults = {world: matching_fault(counts, steps[world]) for world, counts in parameters.items()}
    tests: dict[str, ScoresOfTest] = {}
    for name in plan.tests:
        tests |= _test_scores(TESTS[name], plan, cells, unmatched=faults)
    return Scores(
        tests=tests,
        fits=_by_world(cells, plan, lambda rows: rows[0]["r_squared"]),
        parameters=parameters, multiply_adds=products,
        curves=_by_world(cells, plan, lambda rows: [(r["step"], r["r_squared"]) for r in rows if r["kind"] == "curve"]),
        credit=_credit(cells, plan),
        num_seeds=len(plan.seeds),
    )  # fmt: skip


def _by_world(cells: Sequence[_Cell], plan: ComparisonPlan, read: Callable[[Sequence[Row]], Any]) -> dict[str, Any]:
    """World -> line -> {seed: what `read` makes of the rows of its fit}, in the order of the plan."""
    found: dict[str, dict[str, dict[int, Any]]] = {}
    fits = [cell for cell in cells if cell.function == FIT and cell.config["replica"] == 0]
    for world in plan.worlds:
        here = [cell for cell in fits if cell.config["world"] == world]
        lines = _ordered({cell.line for cell in here}, plan)
        if lines:
            found[world] = {
                line: {cell.config["seed"]: read(cell.rows) for cell in sorted(here, key=_seed) if cell.line == line}
                for line in lines
            }
    return found


def _largest(cells: Sequence[_Cell], plan: ComparisonPlan, name: str) -> dict[str, dict[str, int]]:
    """World -> line -> the largest number of this name in the line's fits."""
    found = _by_world(cells, plan, lambda rows: rows[0][name])
    return {world: {line: int(max(each.values())) for line, each in lines.items()} for world, lines in found.items()}


def _credit(cells: Sequence[_Cell], plan: ComparisonPlan) -> dict[str, dict[str, dict[int, Floats]]]:
    """Responsibilities of the fits whose V has several parts."""
    parted = [cell for cell in cells if any(row["kind"] == "responsibility" for row in cell.rows)]

    def read(rows: Sequence[Row]) -> Floats:
        return np.array([row["shares"] for row in rows if row["kind"] == "responsibility"], dtype=np.float64)

    return _by_world(parted, plan, read)


def _seed(cell: _Cell) -> int:
    return int(cell.config.get("seed", -1))


def _ordered(lines: Iterable[str], plan: ComparisonPlan) -> list[str]:
    """Lines in the order of the plan, then of the registry of arms, then by name."""
    order = [str(line) for line in (*plan.lines, *map(Line, ARMS))]
    return sorted(lines, key=lambda line: (order.index(line) if line in order else len(order), line))


def _test_scores(
    test: LineTest, plan: ComparisonPlan, cells: Sequence[_Cell], *, unmatched: Mapping[str, str | None]
) -> dict[str, ScoresOfTest]:
    """The scores of a test in each of its worlds; Holm's procedure runs over all of them together."""
    worlds = plan.worlds_of(test)
    own = [cell for cell in cells if cell.function == test.cell]
    rows = {
        world: _rows_by_line(test, plan, [cell for cell in own if cell.config["world"] == world]) for world in worlds
    }
    readings = {world: _readings(rows[world]) for world in worlds}
    scored = {world: readings[world].pop("score", {}) for world in worlds}
    tested = {world: _tested(lines) if test.against_zero else {} for world, lines in scored.items()}
    contrasts = {
        world: _contrast_lines(lines, plan.arms) if test.contrasts else {} for world, lines in scored.items()
    }  # fmt: skip
    zero = _decided(tested, test.against_zero or test.prediction.margin, plan.seeds)
    apart = _decided(contrasts, test.prediction.margin, plan.seeds)
    found = {}
    for world in worlds:
        admission = admission_of(test, scored[world], readings[world]) if test.admission else None
        found[f"{test.key}, {world}" if len(worlds) > 1 else test.key] = ScoresOfTest(
            test, world, scored[world], zero[world], apart[world], admission,
            controls=unmatched.get(world) or controls_fault(test, scored[world], admission),
            extra=readings[world], rows=rows[world],
        )  # fmt: skip
    return found


def _rows_by_line(test: LineTest, plan: ComparisonPlan, cells: Sequence[_Cell]) -> dict[str, list[Row]]:
    order = [*_ordered({cell.line for cell in cells} - set(test.plants), plan), *test.plants]
    return {
        line: [row for cell in sorted(cells, key=_seed) if cell.line == line for row in cell.with_seeds()]
        for line in order
    }  # fmt: skip


def _readings(rows: Mapping[str, Sequence[Row]]) -> dict[str, Lines]:
    """Reading ("score" among them) -> line -> {seed: number}, from the rows of kind "score"."""
    found: dict[str, Lines] = {}
    scores = [(line, row) for line, every in rows.items() for row in every if row["kind"] == "score"]
    for line, row in scores:
        for name, number in row.items():
            if name not in ("kind", "seed"):
                per_seed = found.setdefault(name, {}).setdefault(line, {})
                per_seed |= {} if number is None else {int(row["seed"]): float(number)}
    return found


def _contrast_lines(lines: Lines, arms: Sequence[str]) -> Lines:
    return {
        f"{first} - {second}": paired_differences(lines[first], lines[second])
        for first, second, _ in contrasts_among(arms)
        if first in lines and second in lines
    }


def _decided(by_world: Mapping[str, Lines], margin: float, seeds: Sequence[int]) -> dict[str, dict[str, Verdict]]:
    """World -> name -> verdict, decided together."""
    several = len(by_world) > 1
    named = {
        (world, name): f"{name}, {world}" if several else name
        for world, lines in by_world.items()
        for name, per_seed in lines.items()
        if len(per_seed) > 1
    }
    scores = {shown: by_world[world][name] for (world, name), shown in named.items()}
    verdicts = {v.contrast: v for v in decide(scores, margin=margin, seeds=seeds)} if scores else {}
    found: dict[str, dict[str, Verdict]] = {world: {} for world in by_world}
    for (world, name), shown in named.items():
        found[world][name] = verdicts[shown]
    return found


def _tested(lines: Lines) -> Lines:
    """Lines whose outcome does not hold by construction: no plant, no known control."""
    return {line: s for line, s in lines.items() if line.split(" (")[0] in ARMS and not is_control(line)}


def is_control(line: str) -> bool:
    """Whether a line is that of an arm whose nature is known."""
    arm = ARMS.get(line.split(" (")[0])
    return arm is not None and arm.control
