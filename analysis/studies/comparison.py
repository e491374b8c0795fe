"""The comparison: does a bunch of shards predict anything that "V is a neural network" does not?

`run_comparison` runs a plan (`analysis.studies.plan`), scores it (`comparison_scores`), writes the figures
(`comparison_figures`) and says what was found (`comparison_words`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from analysis import preregistration as registry
from analysis.studies import comparison_figures, comparison_tables, comparison_words
from analysis.studies.comparison_scores import Scores, score
from analysis.studies.plan import ComparisonPlan, cells_of, frozen
from analysis.study import Progress, StudyResult, run_study
from analysis.study_table import export_parquet
from envs.storage import write_bytes


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
        deviations: How the run departs from its preregistration, () if in nothing; None where nothing was frozen.
    """

    folder: Path
    study: StudyResult
    scores: Scores
    words: str
    table: tuple[dict[str, str], ...]
    figures: tuple[Path, ...]
    deviations: tuple[str, ...] | None


def run_comparison(
    plan: ComparisonPlan,
    folder: Path | str,
    *,
    workers: int = 2,
    progress: Callable[[Progress], None] | None = None,
    preregistration: Path | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> ComparisonResult:
    """Run what is not finished, score it, and write table, figures and summary.

    Args:
        plan: From `analysis.studies.plan.make_plan`.
        folder: The study's folder; a stopped study goes on where it was, and seeds can be added later.
        workers: Local processes; 0 computes in this one. The numbers do not depend on it.
        progress: Called after each cell.
        preregistration: A frozen plan; departures from it are named in the summary.
        warn: Told of each departure before anything is computed.

    Raises:
        UserError: The folder cannot be written, or the frozen plan cannot be read; before anything is computed.
    """
    folder = Path(folder)
    cells = cells_of(plan)
    for deviation in [] if preregistration is None else registry.check(frozen(plan), preregistration):
        warn(deviation)
    study = run_study(cells, folder, workers=workers, progress=progress)
    deviations, hashes = None, {cell.hash for cell in cells}
    if preregistration is not None:
        deviations = tuple(registry.check(frozen(plan), preregistration, study=folder, cells=hashes))
        if study.failed:
            deviations += (f"{len(study.failed)} of its cells failed, and their scores are missing.",)
    export_parquet(folder, cells=hashes)
    scores = score(folder, plan)
    figures = comparison_figures.draw(scores, folder / "figures")
    words = comparison_words.summary(scores, study, deviations=deviations)
    write_bytes(folder / "summary.txt", (words + "\n").encode())
    write_bytes(folder / "tables.md", comparison_tables.markdown(scores).encode())
    write_bytes(folder / "scores.csv", comparison_tables.csv_of(scores))
    return ComparisonResult(folder, study, scores, words, comparison_words.table(scores), figures, deviations)
