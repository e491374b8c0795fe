"""The curve of a run: one row a line, appended as it happens, and cut back to where the run goes on."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from envs import storage
from envs.errors import UserError

Row = dict[str, Any]


class Curve:
    """A file of JSON lines, open for as long as the run goes on.

    It is locked meanwhile, since two processes that train in one folder would spoil each other's files. The lock ends
    with the process, however that ends.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which is made where there is none.

        Raises:
            UserError: it cannot be written, or another process has it open.
        """
        self.path = path
        try:
            self._file = open(path, "ab")  # noqa: SIM115 - closed by `__exit__`
        except OSError as error:
            raise UserError(f"Cannot write '{path}': {error.strerror}; choose another folder.") from error
        if not _locked(self._file.fileno()):
            self._file.close()
            raise UserError(
                f"Another process is training in '{path.parent}'; wait for its end, or choose another folder."
            )

    def __enter__(self) -> Curve:
        """The curve itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row; a number that is not finite, which only a measure beside the loss can be, becomes null."""
        plain = {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in row.items()}
        self._file.write((json.dumps(plain, sort_keys=True, allow_nan=False) + "\n").encode())
        self._file.flush()

    def size(self) -> int:
        """The size of the file in bytes, all of which are on the disk."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def cut(self, size: int) -> list[Row]:
        """Cut off what lies behind a size that was returned before; returns the rows that are left.

        Raises:
            UserError: the file is shorter, or its first part is no longer one of rows.
        """
        if self.size() < size:
            raise UserError(
                f"'{self.path}' has {self.size()} bytes, fewer than the {size} when the run was saved; restore a copy."
            )
        self._file.truncate(size)
        try:
            return [storage.parse_json(line) for line in self.path.read_bytes().splitlines()]
        except ValueError as error:
            raise UserError(f"'{self.path}' holds a line that is not JSON ({error}); restore a copy.") from error


def _locked(descriptor: int) -> bool:
    """Lock a file for this process, until it closes it; False where another has it locked."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
