"""From the rows of a comparison to per-seed scores, admissions and verdicts.

A line is an arm under an E regime, written "MONO" or "MONO (imitated E)". {seed: number} maps a run seed to its one
number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.admission import LEVEL, Admission, admit_metric
from analysis.arms import ARMS, contrasts_among
from analysis.cells import Cell, Row
from analysis.predictions.crossed_history import MARGIN_AGAINST_ZERO
from analysis.predictions.prediction import Prediction
from analysis.statistics import paired_differences, seed_column, t_interval
from analysis.studies.contest_cells import CONTEST, PLANTS
from analysis.studies.crossing_cells import CROSS
from analysis.studies.need_cells import ABLATE, FLIP
from analysis.studies.yoked import FIT
from analysis.study import read_study
from analysis.verdicts import Verdict, decide

PerSeed = dict[int, float]
Lines = dict[str, PerSeed]


@dataclasses.dataclass(frozen=True)
class TestScores:
    """One test's scores.

    Attributes:
        prediction: The test.
        lines: Line -> per-seed score, in the order of arms.
        against_zero: Verdicts of each line against 0 (T0 and CrossedHistory).
        contrasts: Verdicts of the primary contrasts.
        admission: Whether the metric may be read (T3 and T5); None where controls were not run, and for other tests.
        controls: Why no verdict may be read, None where the controls came out.
        extra: Name of a secondary reading -> line -> per-seed number.
    """

    prediction: Prediction
    lines: Lines
    against_zero: tuple[Verdict, ...]
    contrasts: tuple[Verdict, ...]
    admission: Admission | None
    controls: str | None
    extra: dict[str, Lines]


@dataclasses.dataclass(frozen=True)
class Scores:
    """All scores of a comparison.

    Attributes:
        tests: Test key -> its scores, in the order of the plan.
        fits: World -> line -> per-seed R^2 of V against the exact V^pi on held-out levels, under the policy's visits.
        parameters: World -> line -> parameters of V∘E.
        curves: World -> line -> {seed: [(step, R^2)]}.
        values: Line -> rows of the CrossedHistory test for the figure (seed, pairing, optimum, value).
        num_seeds: Seeds of the plan.
    """

    tests: dict[str, TestScores]
    fits: dict[str, Lines]
    parameters: dict[str, dict[str, int]]
    curves: dict[str, dict[str, dict[int, list[tuple[int, float]]]]]
    values: dict[str, list[Row]]
    num_seeds: int


@dataclasses.dataclass(frozen=True)
class _Cell:
    function: str
    config: Mapping[str, Any]
    rows: Sequence[Row]

    @property
    def line(self) -> str:
        regime = self.config["regime"]
        return str(self.config["arm"]) if regime in ("scratch", "-") else f"{self.config['arm']} ({regime} E)"


def score(
    folder: Path, cells: Sequence[Cell], *, arms: Sequence[str], tests: Sequence[Prediction], seeds: Sequence[int]
) -> Scores:
    """Read a study's folder and apply every test's rule.

    Args:
        folder: The study's folder.
        cells: The plan's cells; what else the folder holds is left aside.
        arms: Arms of the plan.
        tests: Tests of the plan.
        seeds: Seeds of the plan; verdicts name those that are missing.
    """
    planned, order = {cell.hash for cell in cells if "arm" in cell.config}, [*arms, *PLANTS]
    finished = [r for r in read_study(folder) if r.status == "finished" and r.hash in planned]
    found = [_Cell(record.function, record.config, record.rows) for record in finished]
    found.sort(key=lambda cell: (order.index(cell.config["arm"]), cell.line, cell.config.get("seed", -1)))
    readers = {"T0": _contest, "CrossedHistory": _crossing, "T3": _ablation, "T5": _credit}
    return Scores(
        tests={test.key: readers[test.key](found, test, arms=arms, seeds=seeds) for test in tests},
        fits=_by_world(found, lambda rows: rows[0]["r_squared"]),
        parameters={world: {line: int(max(found.values())) for line, found in lines.items()}
                    for world, lines in _by_world(found, lambda rows: rows[0]["parameters"]).items()},
        curves=_by_world(found, lambda rows: [(r["step"], r["r_squared"]) for r in rows if r["kind"] == "curve"]),
        values=_value_rows(found),
        num_seeds=len(seeds),
    )  # fmt: skip


def _per_seed(cells: Iterable[_Cell], function: str, read: Callable[[Sequence[Row]], Any]) -> dict[str, dict[int, Any]]:
    lines: dict[str, dict[int, Any]] = {}
    for cell in cells:
        if cell.function == function and (value := read(cell.rows)) is not None:
            lines.setdefault(cell.line, {})[int(cell.config["seed"])] = value
    return lines


def _by_world(cells: Sequence[_Cell], read: Callable[[Sequence[Row]], Any]) -> dict[str, Any]:
    worlds = {cell.config["world"] for cell in cells if cell.function == FIT}
    return {
        world: _per_seed([c for c in cells if c.config["world"] == world and c.config.get("replica") == 0], FIT, read)
        for world in sorted(worlds)
    }


def _value_rows(cells: Sequence[_Cell]) -> dict[str, list[Row]]:
    lines: dict[str, list[Row]] = {}
    for cell in cells:
        if cell.function == CROSS:
            lines.setdefault(cell.line, []).extend(r | {"seed": cell.config["seed"]} for r in cell.rows[1:])
    return lines


def _verdicts(lines: Lines, margin: float, seeds: Sequence[int]) -> tuple[Verdict, ...]:
    enough = {name: scores for name, scores in lines.items() if len(scores) > 1}
    return decide(enough, margin=margin, seeds=seeds) if enough else ()


def _contrast_lines(lines: Lines, arms: Sequence[str]) -> Lines:
    return {
        f"{first} - {second}": paired_differences(lines[first], lines[second])
        for first, second, _ in contrasts_among(arms)
        if first in lines and second in lines
    }


def _contest(cells: Sequence[_Cell], test: Prediction, *, arms: Sequence[str], seeds: Sequence[int]) -> TestScores:
    found = [cell for cell in cells if cell.function == CONTEST]

    def column(kind: str, name: str) -> Lines:
        rows = {cell.line: [r for r in cell.rows if r["kind"] == kind and r[name] is not None] for cell in found}
        return {line: {int(r["seed"]): float(r[name]) for r in chosen} for line, chosen in rows.items()}

    lines = column("values", "gain")
    nats = [name for name in (found[0].rows[0] if found else {}) if name.startswith("nats_")]
    extra = {f"{kind} {name}": column(kind, name) for kind in ("values", "choices")
             for name in ("gain", "ceiling", "gain_over_sister", *nats)}  # fmt: skip
    extra["share of choices made"] = column("choices", "made")
    controls = _planted_fault(lines, test.margin)
    return TestScores(test, lines, _verdicts(_tested(lines), test.margin, seeds), (), None, controls, extra)


def _crossing(cells: Sequence[_Cell], test: Prediction, *, arms: Sequence[str], seeds: Sequence[int]) -> TestScores:
    lines = _per_seed(cells, CROSS, lambda rows: rows[0]["interaction"])
    names = ("slope_matched", "slope_mismatched", "error_matched")
    extra = {name: _per_seed(cells, CROSS, lambda rows, name=name: rows[0][name]) for name in names}  # type: ignore[misc]
    extra["slope gap"] = _per_seed(cells, CROSS, lambda rows: rows[0]["slope_matched"] - rows[0]["slope_mismatched"])
    contrasts = _verdicts(_contrast_lines(lines, arms), test.margin, seeds)
    return TestScores(test, lines, _verdicts(_tested(lines), MARGIN_AGAINST_ZERO, seeds), contrasts, None, None, extra)


def _ablation(cells: Sequence[_Cell], test: Prediction, *, arms: Sequence[str], seeds: Sequence[int]) -> TestScores:
    lines = _per_seed(cells, ABLATE, lambda rows: rows[0]["locality"])
    names = ("untrained", "random_parts", "declared")
    extra = {name: _per_seed(cells, ABLATE, lambda rows, name=name: rows[0][name]) for name in names}  # type: ignore[misc]
    admission = _admission(lines, extra["untrained"].get("MONO"))
    return TestScores(test, lines, (), (), admission, _not_admitted(admission), extra)


def _credit(cells: Sequence[_Cell], test: Prediction, *, arms: Sequence[str], seeds: Sequence[int]) -> TestScores:
    def reading(kind: str, name: str) -> Lines:
        return _per_seed(cells, FLIP, lambda rows: next((float(r[name]) for r in rows if r["reading"] == kind), None))

    lines = reading("frozen", "score")
    extra = {f"{kind} {name}": reading(kind, name) for kind in ("frozen", "free")
             for name in ("interference", "interference_centred", "reached", "steps")}  # fmt: skip
    untrained = reading("untrained", "score")
    extra["untrained"] = untrained
    contrasts = _verdicts(_contrast_lines(lines, arms), test.margin, seeds)
    admission = _admission(lines, untrained.get("MONO"))
    return TestScores(test, lines, (), contrasts, admission, _not_admitted(admission), extra)


def _tested(lines: Lines) -> Lines:
    """Lines whose outcome does not hold by construction: no plant, no known control."""
    return {line: s for line, s in lines.items() if line not in PLANTS and not is_control(line)}


def is_control(line: str) -> bool:
    """Whether a line is that of an arm whose nature is known."""
    arm = ARMS.get(line.split(" (")[0])
    return arm is not None and arm.role.startswith("known")


def _planted_fault(lines: Lines, margin: float) -> str | None:
    """Why T0 may not be read: a planted agent that does not come out."""
    planted = {name: lines.get(name, {}) for name in PLANTS}
    if any(len(per_seed) < 2 for per_seed in planted.values()):
        return "planted agents are missing"
    apart = paired_differences(planted["SHARD-LAW"], planted["OPTIMUM"])
    if t_interval(seed_column(apart, "SHARD-LAW - OPTIMUM"), level=LEVEL).low <= margin:
        return "the planted shard agent is not told from the planted optimum"
    nulls = [name for name in ("OPTIMUM", "ANTI-LAW")
             if not t_interval(seed_column(planted[name], name), level=LEVEL).inside(margin)]  # fmt: skip
    return f"{' and '.join(nulls)} score outside the margin" if nulls else None


def _not_admitted(admission: Admission | None) -> str | None:
    if admission is None:
        return "POS, NEG-F or MONO's untrained network was not run"
    return None if admission.admitted else "the metric is not admitted"


def _admission(lines: Lines, untrained: PerSeed | None) -> Admission | None:
    """None where a control is missing or stands on a single seed."""
    controls = (lines.get("POS"), lines.get("NEG-F"), untrained)
    if any(control is None or len(control) < 2 for control in controls):
        return None
    positive, negative, null = controls
    return admit_metric(positive, negative=negative, untrained=null)  # type: ignore[arg-type]
