"""Compute one cell, in a worker or in this process: text in, text out, and everything else through the study's folder.

Only names and JSON cross the process border: the function's address, the cell's description, the folder. The worker
imports the named module, so no code and no object is sent.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import provenance
from analysis.canonical import canonical_json, content_hash, plain
from analysis.cell_files import Status, StudyFolder, publish, read_cell, working_folder
from analysis.cells import CELLS, CellContext, Function, ParentResult, Row
from envs import storage
from envs.errors import UserError

RESERVED_COLUMNS = frozenset({"cell", "function", "version", "status", "row"})
CONFIG_PREFIX = "config."
MAX_MESSAGE = 2000
NAMED_PARENTS = 4


@dataclass(frozen=True)
class CellRequest:
    """What a worker is told.

    Attributes:
        address: "module:name" of the cell function.
        description: the cell's function key, version, config and parent hashes.
        folder: the study's folder.
        run: name of this run in the manifest.
        sources: hashes of our sources, for the manifest.
    """

    address: str
    description: Row
    folder: str
    run: str
    sources: dict[str, str]

    def to_json(self) -> str:
        """Return the text that `run_cell` takes."""
        return canonical_json(dataclasses.asdict(self))


def run_cell(request: str) -> str:
    """Compute a cell, publish its rows and artifacts, and write its manifest.

    Args:
        request: a `CellRequest` as JSON.

    Returns:
        JSON with ``seconds`` and ``error``, which is null or the row that says why the cell failed. Any exception of
        the cell function (SystemExit too) makes a failed cell; nothing is raised for it.
    """
    task = CellRequest(**json.loads(request))
    folder, clock, processor = StudyFolder(Path(task.folder)), time.perf_counter(), time.process_time()
    record: Row = {"run": task.run, "started_utc": provenance.utc_now(), "sources": task.sources}
    working, rows, error = working_folder(folder), [], None
    try:
        rows = _compute(task, folder, working)
    except (Exception, SystemExit) as raised:
        error = error_row(raised)
        error["error_message"] += _what_it_read(task, raised)
        record["traceback"] = "".join(traceback.format_exception(raised))
    except BaseException:
        storage.remove(working)
        raise
    record |= {"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time() - processor}
    storage.write_json(folder.manifest(content_hash(task.description)), record | _process_record())
    _publish(task, folder, working, rows=rows, error=error)
    return canonical_json({"seconds": record["seconds"], "error": error})


def error_row(error: BaseException) -> Row:
    """Describe an exception: error_type, error_message, and error_line, the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = (
        f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}: {frames[-1].line}"
        if frames
        else ""
    )
    return {"error_type": type(error).__name__, "error_message": str(error)[:MAX_MESSAGE], "error_line": place}


def _compute(task: CellRequest, folder: StudyFolder, working: Path) -> list[Row]:
    key, version = task.description["function"], task.description["version"]
    function = _import_function(task.address)
    if key in CELLS and CELLS[key].version != version:
        raise UserError(
            f"The worker imported version {CELLS[key].version} of {key!r}, but version {version} was asked for; "
            "do not edit the code while a study runs."
        )
    parents = {parent: _parent(folder, parent) for parent in task.description["parents"]}
    return _checked(function(CellContext(task.description["config"], parents, working)), key)


def _what_it_read(task: CellRequest, error: BaseException) -> str:
    """Which cells a refused input may have come from, and the cure; "" where there is none."""
    parents = task.description["parents"]
    if not parents or not isinstance(error, UserError):
        return ""
    files = ", ".join(f"cells/{name}.jsonl" for name in parents[:NAMED_PARENTS])
    more = f" and {len(parents) - NAMED_PARENTS} more" if len(parents) > NAMED_PARENTS else ""
    return f" It read what stands of {files}{more}; one that is deleted is computed again."


def _import_function(address: str) -> Function:
    module, _, name = address.partition(":")
    function: Function = getattr(importlib.import_module(module), name)
    return function


def _parent(folder: StudyFolder, cell_hash: str) -> ParentResult:
    record = read_cell(folder, cell_hash)
    if record is None or record.status != "finished":
        raise UserError(f"Parent cell {cell_hash} is not finished in '{folder.root}'; run it first.")
    return ParentResult(record.function, record.config, list(record.rows), folder.artifacts(cell_hash))


def _checked(rows: object, key: str) -> list[Row]:
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise UserError(f"Cell function {key!r} returned {type(rows).__name__}, but must return a list of dicts.")
    checked: list[Row] = [plain(row, f"Row {index} of {key}") for index, row in enumerate(rows)]
    for row in checked:
        taken = [name for name in row if name in RESERVED_COLUMNS or name.startswith(CONFIG_PREFIX)]
        if taken:
            raise UserError(
                f"A row of {key!r} has the columns {taken}, but {sorted(RESERVED_COLUMNS)} and {CONFIG_PREFIX}* are "
                "filled in by the table; rename them."
            )
    return checked


def _publish(task: CellRequest, folder: StudyFolder, working: Path, *, rows: list[Row], error: Row | None) -> None:
    if error is not None or not any(working.iterdir()):
        storage.remove(working)
    result = [error] if error is not None else rows
    status: Status = "failed" if error is not None else "finished"
    publish(folder, task.description, result, status=status, working=working if working.exists() else None)


def _process_record() -> dict[str, Any]:
    record = {"host": platform.node(), "pid": os.getpid(), "torch_threads": provenance.num_torch_threads()}
    if sys.platform != "win32":
        import resource

        scale = 2**20 if sys.platform == "darwin" else 2**10
        record["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    return record
