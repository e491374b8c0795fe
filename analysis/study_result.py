"""What a run of a study tells its caller: progress after each cell, and the result at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis.cells import Cell, Row


@dataclass(frozen=True)
class Progress:
    """What a caller can show whenever a cell has ended.

    Attributes:
        cell: the cell that ended.
        error: None, or the row that says why it failed.
        seconds: its duration.
        num_finished: finished cells, those of earlier runs included.
        num_failed: failed cells, those with a failed parent included.
        num_cells: all cells of the study.
        elapsed: seconds since this run began.
        remaining: expected seconds to the end; None while nothing is known.
    """

    cell: Cell
    error: Row | None
    seconds: float
    num_finished: int
    num_failed: int
    num_cells: int
    elapsed: float
    remaining: float | None


@dataclass(frozen=True)
class FailedCell:
    """A failed cell and its row: error_type, error_message, error_line."""

    cell: Cell
    error: Row

    def __str__(self) -> str:
        """Say in a line which cell failed and why."""
        place = f" ({self.error['error_line']})" if self.error["error_line"] else ""
        return f"{self.cell}: {self.error['error_type']}: {self.error['error_message']}{place}"


@dataclass(frozen=True)
class StudyResult:
    """How a run of a study ended.

    Attributes:
        folder: where everything lies.
        computed: cells finished by this run.
        skipped: cells that stood finished already, or were finished by another process meanwhile.
        failed: cells that failed, or depend on one that did.
        warnings: sentences about damaged files and about code that changed since cells were computed.
        seconds: duration of this run.
    """

    folder: Path
    computed: tuple[Cell, ...]
    skipped: tuple[Cell, ...]
    failed: tuple[FailedCell, ...]
    warnings: tuple[str, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 if every cell is finished, else 1."""
        return 1 if self.failed else 0

    def __str__(self) -> str:
        """Say in a line what this run did; summaries are published, so it does not say where the folder lies."""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        counts = f"{len(self.computed)} cells computed, {len(self.skipped)} found finished{failed}"
        return f"{counts} in {self.seconds:.1f} s, in the folder '{self.folder.name}'."
