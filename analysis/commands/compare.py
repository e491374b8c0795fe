"""`valuelab compare`: arms x worlds x seeds, as a study that goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agents.device import resolve_device
from analysis.cells import Cell
from analysis.cli_studies import Choice, Compare
from analysis.commands.folders import require_frozen, require_writable
from analysis.commands.printing import say, table_of
from analysis.progress import Display, showing
from analysis.studies.answer_page import write_page
from analysis.studies.comparison import ComparisonResult, run_comparison
from analysis.studies.plan import ComparisonPlan, make_plan
from analysis.study_result import Progress
from envs.errors import UserError, require_integer


def run(command: Compare) -> int:
    """Run or go on with a comparison; 1 where cells failed, else 0."""
    require_integer("--workers", command.workers, low=0, high=1024)
    if command.page is not None and command.page.suffix != ".md":
        raise UserError(f"--page is '{command.page}', but the page is Markdown; name a file that ends in .md.")
    plan = plan_of(command, command.preset, device=resolve_device(command.device)[0].type)
    require_frozen(command.preregistration, how="valuelab preregister")
    folder = command.out or Path("runs") / f"compare-{command.preset}"
    require_writable(folder)
    if command.page is not None:
        require_writable(command.page.with_suffix(""))
    with showing("compare") as display:
        result = run_comparison(
            plan, folder, workers=command.workers, progress=follow(display), preregistration=command.preregistration,
            warn=lambda deviation: display.print(f"departs from {command.preregistration}: {deviation}"),
        )  # fmt: skip
    show(result)
    if command.page is not None:
        write_page(result, command.page)
        say(f"Page: {command.page}.")
    return result.study.exit_code


def plan_of(choice: Choice, preset: str, *, device: str = "cpu") -> ComparisonPlan:
    """The plan that a command line asks for."""
    return make_plan(
        preset, arms=choice.arms, tests=choice.tests, worlds=choice.worlds, num_seeds=choice.seeds,
        first_seed=choice.first_seed, experience=choice.regime, targets=choice.targets, device=device,
    )  # fmt: skip


def follow(display: Display) -> Callable[[Progress], None]:
    """Show a study's progress by time, and each failure as a line when it happens."""

    def tell(progress: Progress) -> None:
        failed = f", {progress.num_failed} failed" if progress.num_failed else ""
        if progress.error is not None and progress.error["error_type"] != "FailedParent":
            display.print(f"failed: {_named(progress.cell)}: {progress.error['error_message']}")
        share = 0.0 if progress.remaining is None else progress.elapsed / (progress.elapsed + progress.remaining)
        text = f"{progress.num_finished} of {progress.num_cells} cells{failed}"
        display.tell(share, text, seconds_left=progress.remaining)

    return tell


def _named(cell: Cell) -> str:
    """The cell's function and settings, without the sizes that all cells share."""
    settings = ", ".join(f"{name}={value}" for name, value in cell.config.items() if name != "setup")
    return f"{cell.function}({settings})"


def show(result: ComparisonResult) -> None:
    """Print the table, what was found, and where everything lies."""
    if result.table:
        table_of(result.table, title="Scores: means over seeds with 95 % t intervals")
    say("", result.words, "", *(f"Figure: {figure}" for figure in result.figures))
    say(
        f"Tables: {result.folder / 'tables.md'}, per seed {result.folder / 'scores.csv'}, all rows "
        f"{result.folder / 'rows.parquet'}. These words: {result.folder / 'summary.txt'}."
    )
