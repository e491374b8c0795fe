"""Run a grid of cells into a folder: in parallel, resumable, and with failures as rows instead of a lost study.

    record = Cell("comparison.record", {"seed": 0})
    fits = [Cell("comparison.fit", {"arm": arm, "seed": 0}, parents=(record,)) for arm in ("MONO", "MOE")]
    result = run_study([record, *fits], "runs/first", workers=2)
    sys.exit(result.exit_code)

A stopped study goes on where it was. The rows depend on the cells alone: not on the number of workers, the order of
the ends, the process or the hash seed, which `digest` shows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from analysis import provenance
from analysis.cell_files import CellRecord, StudyFolder, active, finished, read_cell
from analysis.cells import CELLS, Cell, CellContext, CellFunction, ParentResult, address, cell_function, registered
from analysis.executors import Executor, LocalExecutor, SerialExecutor
from analysis.schedule import make_plan
from analysis.study_result import FailedCell, Progress, StudyResult
from analysis.study_run import StudyRun
from envs import storage

__all__ = [
    "CELLS",
    "Cell",
    "CellContext",
    "CellFunction",
    "CellRecord",
    "FailedCell",
    "ParentResult",
    "Progress",
    "StudyResult",
    "cell_function",
    "digest",
    "read_study",
    "run_study",
]


def run_study(
    cells: Sequence[Cell],
    folder: str | Path,
    *,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
    time_limit: float = 3600.0,
    retry_failed: bool = True,
    executor: Executor | None = None,
) -> StudyResult:
    """Compute every cell that does not stand finished in ``folder``.

    Args:
        cells: the study, in any order; parents may also be finished cells of the folder that are not listed.
        folder: made if missing. Several processes may run into one folder.
        workers: local worker processes of one thread each; 0 computes in this process, for debugging.
        progress: called in this process after each end.
        time_limit: seconds for one cell, after which its worker is killed and the cell is a failed row.
        retry_failed: compute cells again that failed in an earlier run.
        executor: another place to compute than ``workers`` local processes; it is closed at the end.

    Returns:
        What was computed, found and lost; callers exit with its ``exit_code``.

    Raises:
        UserError: before anything is computed: no cells, an unknown parent, a function that workers cannot import, a
            folder that cannot be written. What cells raise becomes rows.
        KeyboardInterrupt: workers are ended first; finished cells stay valid.
    """
    root = StudyFolder(Path(folder))
    modules = tuple({address(registered(cell.function).function).partition(":")[0] for cell in cells})
    plan = make_plan(cells, elsewhere=_finished_elsewhere(root, cells))
    place = executor or (LocalExecutor(workers, time_limit=time_limit) if workers else SerialExecutor())
    with active(root):
        run = StudyRun(root, plan, place=place, sources=provenance.source_hashes(modules), progress=progress)
        try:
            return run.to_the_end(retry_failed=retry_failed)
        finally:
            place.close()
            run.write_manifest()


def digest(folder: str | Path) -> str:
    """SHA-256 over the rows of all cells: equal for any number of workers, process, hash seed and order.

    Raises:
        UserError: a cell's file is damaged.
    """
    root, total = StudyFolder(Path(folder)), hashlib.sha256()
    for cell_hash in root.hashes():
        read_cell(root, cell_hash)
        total.update(f"{cell_hash} {storage.sha256(root.rows(cell_hash))}\n".encode())
    return total.hexdigest()


def read_study(folder: str | Path, cells: Collection[str] | None = None) -> tuple[CellRecord, ...]:
    """Read cells of a study's folder, sorted by hash.

    Args:
        folder: the study's folder.
        cells: hashes of those that are read; None reads all.

    Raises:
        UserError: the file of one of them is damaged.
    """
    root = StudyFolder(Path(folder))
    chosen = (name for name in root.hashes() if cells is None or name in cells)
    records = (read_cell(root, cell_hash) for cell_hash in chosen)
    return tuple(record for record in records if record is not None)


def commits_of(folder: str | Path, cells: Iterable[str]) -> dict[str, int]:
    """How many of some cells were computed by the code of which commit; "an unknown commit" outside a checkout.

    Code that differed from its commit has "with changes" behind it.
    """
    root, runs = StudyFolder(Path(folder)), dict[str, str]()
    counts = Counter[str]()
    for cell_hash in cells:
        manifest = root.manifest(cell_hash)
        run = storage.read_json(manifest)["run"] if manifest.is_file() else ""
        if run not in runs:
            record = root.runs() / f"{run}.json"
            git = storage.read_json(record).get("git") if run and record.is_file() else None
            changed = " with changes" if git and git["changed"] else ""
            runs[run] = f"{git['commit'][:10]}{changed}" if git else "an unknown commit"
        counts[runs[run]] += 1
    return dict(counts)


def _finished_elsewhere(folder: StudyFolder, cells: Sequence[Cell]) -> set[str]:
    """Parents that are not among the cells but stand finished in the folder."""
    known = {cell.hash for cell in cells}
    parents = {parent for cell in cells for parent in cell.parent_hashes if parent not in known}
    return {parent for parent in parents if finished(folder, parent)}
