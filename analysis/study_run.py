"""One run of a study: dispatch ready cells, collect ends, turn failures into rows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence

from analysis import provenance
from analysis.cell_files import CellRecord, DamagedCellError, StudyFolder, finished, publish, read_cell
from analysis.cell_runner import CellRequest, run_cell
from analysis.cells import Cell, Row, address, registered
from analysis.executors import Executor, TaskResult
from analysis.schedule import Plan, RemainingTime, Schedule
from analysis.study_result import FailedCell, Progress, StudyResult
from envs import storage


class StudyRun:
    """One run of a study: what has ended, and how."""

    def __init__(
        self,
        folder: StudyFolder,
        plan: Plan,
        *,
        place: Executor,
        sources: dict[str, str],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._folder, self._plan, self._place, self._progress = folder, plan, place, progress
        self._clock = time.monotonic()
        self._record = provenance.run_record() | {"sources": sources, "num_slots": place.num_free}
        self._name = f"{self._record['started_utc'].replace(':', '')}-{os.getpid()}"
        self._sources, self._remaining = sources, RemainingTime()
        self._warnings: list[str] = []
        self._computed: list[Cell] = []
        self._failed: list[FailedCell] = []
        self._skipped = [cell for cell in plan.cells.values() if self._stands(cell)]
        self._schedule = Schedule(plan, finished={cell.hash for cell in self._skipped})

    def to_the_end(self, *, retry_failed: bool) -> StudyResult:
        """Keep every slot busy until nothing is left."""
        self._warnings += _changed_code(self._folder, self._skipped, self._sources)
        self.write_manifest()
        if not retry_failed:
            self._keep_failures()
        self._fill()
        while results := self._place.wait():
            for result in results:
                self._collect(result)
            self._fill()
        return self._result()

    def write_manifest(self) -> None:
        """Write this run's file in the manifest, with what is known by now."""
        counts = {"computed": len(self._computed), "skipped": len(self._skipped), "failed": len(self._failed)}
        record = self._record | {"cells": counts, "seconds": time.monotonic() - self._clock}
        storage.write_json(self._folder.runs() / f"{self._name}.json", record)

    def _stands(self, cell: Cell) -> bool:
        record = self._read(cell)
        return record is not None and record.status == "finished"

    def _read(self, cell: Cell) -> CellRecord | None:
        """What stands of a cell; None, with a warning, where its file is damaged."""
        try:
            return read_cell(self._folder, cell.hash)
        except DamagedCellError as error:
            self._warnings.append(f"{error.problem}; it is computed again.")
            return None

    def _keep_failures(self) -> None:
        for name, cell in self._plan.cells.items():
            record = self._read(cell) if name in self._schedule.pending else None
            if record is not None and record.status == "failed":
                self._fail(cell, record.rows[0])

    def _fill(self) -> None:
        """Submit ready cells while slots are free; cells that another process finished meanwhile are skipped."""
        while self._place.num_free and (cell := self._schedule.next()) is not None:
            if finished(self._folder, cell.hash):
                self._skipped.append(cell)
                self._schedule.finish(cell.hash)
                continue
            request = CellRequest(
                address=address(registered(cell.function).function),
                description=cell.description(),
                folder=str(self._folder.root.resolve()),
                run=self._name,
                sources=self._sources,
            )
            self._place.submit(cell.hash, run_cell, request.to_json())

    def _collect(self, result: TaskResult) -> None:
        cell = self._plan.cells[result.name]
        if result.value is None:
            row = {"error_type": result.failure, "error_message": f"{cell}: {result.message}", "error_line": ""}
            if publish(self._folder, cell.description(), [row], status="failed"):
                self._fail(cell, row, seconds=result.seconds)
            else:  # Its rows were on the disk before its worker died.
                self._finish(cell, seconds=result.seconds)
            return
        outcome = json.loads(result.value)
        if outcome["error"] is not None:
            self._fail(cell, outcome["error"], seconds=outcome["seconds"])
        else:
            self._finish(cell, seconds=outcome["seconds"])

    def _finish(self, cell: Cell, *, seconds: float) -> None:
        self._computed.append(cell)
        self._remaining.add(cell, seconds)
        self._schedule.finish(cell.hash)
        self._report(cell, None, seconds=seconds)

    def _fail(self, cell: Cell, error: Row, *, seconds: float = 0.0) -> None:
        self._failed.append(FailedCell(cell, error))
        lost = self._schedule.fail(cell.hash)
        self._report(cell, error, seconds=seconds)
        for child in lost:
            reason = f"not run, because {cell} failed: {error['error_type']}"
            row = {"error_type": "FailedParent", "error_message": reason, "error_line": ""}
            publish(self._folder, child.description(), [row], status="failed")
            self._failed.append(FailedCell(child, row))
            self._report(child, row, seconds=0.0)

    def _report(self, cell: Cell, error: Row | None, *, seconds: float) -> None:
        if self._progress is None:
            return
        pending = [self._plan.cells[name] for name in self._schedule.pending]
        self._progress(
            Progress(
                cell=cell,
                error=error,
                seconds=seconds,
                num_finished=len(self._computed) + len(self._skipped),
                num_failed=len(self._failed),
                num_cells=len(self._plan.cells),
                elapsed=time.monotonic() - self._clock,
                remaining=self._remaining.estimate(pending, num_workers=self._record["num_slots"]),
            )
        )

    def _result(self) -> StudyResult:
        return StudyResult(
            folder=self._folder.root,
            computed=tuple(self._computed),
            skipped=tuple(self._skipped),
            failed=tuple(self._failed),
            warnings=tuple(self._warnings),
            seconds=time.monotonic() - self._clock,
        )


def _changed_code(folder: StudyFolder, cells: Sequence[Cell], sources: dict[str, str]) -> list[str]:
    """A warning for cells that were computed by other sources than today's."""
    changed: dict[str, int] = {}
    for cell in cells:
        path = folder.manifest(cell.hash)
        then = storage.read_json(path)["sources"] if path.is_file() else {}
        for name in then:
            changed[name] = changed.get(name, 0) + (sources.get(name, then[name]) != then[name])
    told = ", ".join(f"{name} ({count})" for name, count in sorted(changed.items()) if count)
    if not told:
        return []
    return [
        f"Finished cells that were computed before code changed are kept: {told}; if their numbers would change, raise "
        "the version of their cell functions."
    ]
