"""A study's folder: one JSONL file per cell, its artifacts, and a manifest beside them.

    cells/HASH.jsonl          line 1: the cell's description, status and a SHA-256 of the rest; then a row a line
    artifacts/HASH/           what the cell function wrote into its folder
    manifest/cells/HASH.json  when and by whom it was computed (outside the digest)
    manifest/runs/*.json      host, packages, git state, threads of each run (outside the digest)
    work/                     folders of cells that are being computed

A cell is finished when its JSONL file stands: the artifacts are fsynced and renamed into place first, then the file is
written whole (temporary name, fsync, rename, fsync of the folder). Several processes may write into one study folder:
publishing holds a lock, a finished cell is never replaced, and a failed one is replaced by any later result. The locks
are advisory file locks, so they end with their process; on systems without them, run one process at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from analysis.canonical import canonical_json, content_hash
from analysis.cells import Row
from envs import storage
from envs.errors import UserError

Status = Literal["finished", "failed"]
DESCRIPTION_FIELDS = ("function", "version", "config", "parents")


@dataclass(frozen=True)
class CellRecord:
    """A cell as read from its file; ``rows`` of a failed cell is one row with error_type, error_message, error_line."""

    hash: str
    function: str
    version: int
    config: Row
    parents: tuple[str, ...]
    status: Status
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class StudyFolder:
    """Where things lie below ``root``."""

    root: Path

    def rows(self, cell_hash: str) -> Path:
        """Return the JSONL file of a cell."""
        return self.root / "cells" / f"{cell_hash}.jsonl"

    def artifacts(self, cell_hash: str) -> Path:
        """Return the folder of a finished cell's artifacts."""
        return self.root / "artifacts" / cell_hash

    def manifest(self, cell_hash: str) -> Path:
        """Return the file with a cell's times and sources."""
        return self.root / "manifest" / "cells" / f"{cell_hash}.json"

    def runs(self) -> Path:
        """Return the folder with one file per run of the study."""
        return self.root / "manifest" / "runs"

    def hashes(self) -> list[str]:
        """Return the hashes of all cells with a file, sorted."""
        return sorted(path.stem for path in (self.root / "cells").glob("[!.]*.jsonl"))


class DamagedCellError(UserError):
    """A cell's file that is torn or altered.

    Attributes:
        problem: What is wrong with which file.
    """

    def __init__(self, problem: str) -> None:
        """Say what is wrong, and the cure."""
        super().__init__(f"{problem}; delete it and run the study again.")
        self.problem = problem


def read_cell(folder: StudyFolder, cell_hash: str) -> CellRecord | None:
    """Read a cell and verify it; None where it has no file.

    Raises:
        DamagedCellError: the file is torn or altered (its SHA-256 or its description's hash differs).
        UserError: it cannot be read.
    """
    path = folder.rows(cell_hash)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror}; check its permissions.") from error
    try:
        return _parse(cell_hash, data)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedCellError(f"File '{path}' is damaged ({error if data else 'it is empty'})") from error


def finished(folder: StudyFolder, cell_hash: str) -> bool:
    """Whether the cell stands finished and undamaged."""
    with contextlib.suppress(UserError):
        record = read_cell(folder, cell_hash)
        return record is not None and record.status == "finished"
    return False


def publish(
    folder: StudyFolder,
    description: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    status: Status,
    working: Path | None = None,
) -> bool:
    """Make a cell's result visible, whole and on the disk, unless the cell stands finished already.

    Args:
        folder: the study.
        description: the cell's function, version, config and parents.
        rows: its rows, plain JSON values.
        status: how it ended.
        working: folder with its artifacts, on the same file system; it is moved into place, or removed.

    Returns:
        Whether this result was written (False: another process was first).
    """
    cell_hash = content_hash(description)
    data = _encode(cell_hash, description, rows, status=status)
    if working is not None:
        _sync_files(working)
    with _lock(folder.root / ".publish.lock"):
        if finished(folder, cell_hash):
            if working is not None:
                storage.remove(working)
            return False
        if working is not None:
            _move_artifacts(working, folder.artifacts(cell_hash))
        storage.write_bytes(folder.rows(cell_hash), data)
    return True


def working_folder(folder: StudyFolder) -> Path:
    """Make an empty folder for the artifacts of a cell that is being computed."""
    path = storage.temporary_path(folder.root / "work")
    path.mkdir(parents=True)
    return path


@contextlib.contextmanager
def active(folder: StudyFolder) -> Iterator[None]:
    """Mark the study as being run, and sweep what killed runs left, if no other run is active.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        for part in ("cells", "artifacts", "work", "manifest/cells", "manifest/runs"):
            (folder.root / part).mkdir(parents=True, exist_ok=True)
        file = open(folder.root / ".active.lock", "ab")  # noqa: SIM115 - closed below, after the caller's block
    except OSError as error:
        raise UserError(f"Cannot write to '{folder.root}': {error.strerror}; choose another folder.") from error
    with file:
        _sweep_if_alone(folder, file)
        _flock(file, exclusive=False, wait=True)
        try:
            yield
        finally:
            _sweep_if_alone(folder, file)


def _sweep_if_alone(folder: StudyFolder, file: IO[bytes]) -> None:
    if _flock(file, exclusive=True, wait=False):
        for part in ("cells", "work", "manifest/cells", "manifest/runs"):
            storage.sweep(folder.root / part)


def _encode(cell_hash: str, description: Mapping[str, Any], rows: Sequence[Row], *, status: Status) -> bytes:
    lines = [canonical_json(row) for row in rows]
    body = "".join(line + "\n" for line in lines).encode()
    header = {
        "cell": cell_hash,
        **{name: description[name] for name in DESCRIPTION_FIELDS},
        "status": status,
        "num_rows": len(lines),
        "rows_sha256": hashlib.sha256(body).hexdigest(),
    }
    return canonical_json(header).encode() + b"\n" + body


def _parse(cell_hash: str, data: bytes) -> CellRecord:
    first, _, body = data.partition(b"\n")
    header = json.loads(first)
    if hashlib.sha256(body).hexdigest() != header["rows_sha256"]:
        raise ValueError("its rows do not match their SHA-256")
    description = {name: header[name] for name in DESCRIPTION_FIELDS}
    if content_hash(description) != cell_hash or header["cell"] != cell_hash:
        raise ValueError("its description does not match its name")
    rows = tuple(json.loads(line) for line in body.splitlines())
    description["parents"] = tuple(description["parents"])
    return CellRecord(hash=cell_hash, status=header["status"], rows=rows, **description)


def _move_artifacts(working: Path, destination: Path) -> None:
    """Put the artifacts in place; what stands there was left by a process killed before it could finish the cell."""
    storage.remove(destination)
    os.rename(working, destination)
    storage.sync_folder(destination.parent)


def _sync_files(folder: Path) -> None:
    """Flush every file and folder below ``folder``, since a cell function need not."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(Path(parent) / name, "rb") as file:
                os.fsync(file.fileno())
        storage.sync_folder(Path(parent))


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with open(path, "ab") as file:
        _flock(file, exclusive=True, wait=True)
        yield


def _flock(file: IO[bytes], *, exclusive: bool, wait: bool) -> bool:
    """Take an advisory lock that ends when the file is closed; False where another process holds it."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
