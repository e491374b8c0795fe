"""A question that a study answers: its cells, its rule, and how rows become words and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis import preregistration as registry
from analysis.canonical import content_hash
from analysis.cells import Cell
from analysis.markdown import bullets, table
from analysis.plots.style import save_figure
from analysis.study import CellRecord, Progress, StudyResult, read_study, run_study
from analysis.study_table import export_parquet
from envs.storage import write_bytes


@dataclass(frozen=True)
class Report:
    """What the rows say.

    Attributes:
        table: Rows of the table, column -> text.
        found: Sentences on what was found, each with its null.
        figures: File name -> figure.
    """

    table: tuple[Mapping[str, str], ...]
    found: tuple[str, ...]
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Question:
    """One study.

    Attributes:
        name: What `valuelab study` calls it.
        asks: The question, one sentence.
        rule: How numbers become words, written before the run.
        does_not_show: What no outcome can show.
        num_seeds: Seeds unless others are asked for.
        cells: Seeds -> cells.
        report: Finished cells -> report.
    """

    name: str
    asks: str
    rule: str
    does_not_show: str
    num_seeds: int
    cells: Callable[[Sequence[int]], list[Cell]]
    report: Callable[[Sequence[CellRecord]], Report]

    def frozen(self, seeds: Sequence[int]) -> dict[str, Any]:
        """The study as a JSON object: what a preregistration freezes. Any change of a cell changes `cells_sha256`."""
        cells = self.cells(seeds)
        kinds = Counter(f"{cell.function} v{cell.version}" for cell in cells)
        return {
            "study": self.name, "asks": self.asks, "rule": self.rule, "does_not_show": self.does_not_show,
            "seeds": list(seeds), "cells": dict(sorted(kinds.items())),
            "cells_sha256": content_hash({"cells": sorted(cell.hash for cell in cells)}),
        }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A question's study after a run.

    Attributes:
        study: Its result.
        report: What the rows say.
        words: The summary.
        figures: Their paths.
        frozen: A sentence on what was frozen before the run, and how the run departs from it.
    """

    study: StudyResult
    report: Report
    words: str
    figures: tuple[Path, ...]
    frozen: str

    def page(self, question: Question, *, command: str, figures: Sequence[str] = ()) -> str:
        """The answer as Markdown, with the figures of these file names."""
        rows = [list(row.values()) for row in self.report.table]
        num_cells = len(self.study.computed) + len(self.study.skipped)
        header = list(self.report.table[0]) if rows else []
        parts = [
            f"# {question.asks}", f"Written by `{command}` from {num_cells} cells.", f"Rule: {question.rule}.",
            self.frozen, "## What was found", bullets(self.report.found),
            *(f"![{Path(name).stem}]({name})" for name in figures), *([table(header, rows)] if rows else []),
            "## What was not shown", f"{question.does_not_show[:1].upper()}{question.does_not_show[1:]}.",
        ]  # fmt: skip
        return "\n\n".join(parts) + "\n"


def answer(
    question: Question,
    folder: Path | str,
    *,
    seeds: Sequence[int],
    workers: int = 2,
    progress: Callable[[Progress], None] | None = None,
    preregistration: Path | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Run what is not finished, and write table, figures and summary into the folder.

    Args:
        question: What is asked.
        folder: The study's folder; a stopped study goes on where it was, and seeds can be added later.
        seeds: Run seeds.
        workers: Local processes; 0 computes in this one. The numbers do not depend on it.
        progress: Called after each cell.
        preregistration: A frozen plan; departures from it are named in summary and page.
        warn: Told of each departure before anything is computed.

    Raises:
        UserError: The folder cannot be written, or the frozen plan cannot be read; before anything is computed.
    """
    folder = Path(folder)
    cells = question.cells(seeds)
    for deviation in [] if preregistration is None else registry.check(question.frozen(seeds), preregistration):
        warn(deviation)
    study = run_study(cells, folder, workers=workers, progress=progress)
    planned = {cell.hash for cell in cells}
    export_parquet(folder, cells=planned)
    report = question.report([record for record in read_study(folder, planned) if record.status == "finished"])
    paths = tuple(save_figure(figure, folder / "figures" / name) for name, figure in report.figures.items())
    frozen = _frozen_sentence(question.frozen(seeds), preregistration, folder, cells=planned)
    if study.failed and preregistration is not None:
        frozen += f" {len(study.failed)} of its cells failed, and what they would have shown is missing."
    words = "\n".join(_lines(question, report, study, frozen=frozen))
    write_bytes(folder / "summary.txt", (words + "\n").encode())
    return Answer(study, report, words, paths, frozen)


def _frozen_sentence(
    plan: Mapping[str, Any], path: Path | None, folder: Path, *, cells: Collection[str]
) -> str:  # fmt: skip
    if path is None:
        return "Nothing was frozen by hash before this run."
    deviations = registry.check(plan, path, study=folder, cells=cells)
    departs = f"departs from it: {' '.join(deviations)}" if deviations else "departs from it in nothing."
    return f"Rule, seeds and cells were frozen in {path.name}; this run {departs}"


def _lines(question: Question, report: Report, study: StudyResult, *, frozen: str) -> list[str]:
    found = [f"  {sentence}" for sentence in report.found]
    run = [f"  {line}" for line in (frozen, str(study), *study.warnings, *map(str, study.failed))]
    return [
        question.asks, f"  Rule: {question.rule}.", "", "WHAT WAS FOUND", *found, "",
        "WHAT WAS NOT SHOWN", f"  {question.does_not_show}.", "", "HOW IT WAS RUN", *run,
    ]  # fmt: skip
