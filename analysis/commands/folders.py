"""Folders that commands write to, tried before the work rather than after it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from envs import storage
from envs.errors import UserError


def require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to; nothing is left behind.

    Raises:
        UserError: no right, or a file in the way.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    trial = storage.temporary_path(folder)
    try:
        storage.write_bytes(trial, b"")
    except UserError as error:
        reason = getattr(error.__cause__, "strerror", None) or str(error)
        raise UserError(f"Cannot write into '{folder}': {reason}; choose a folder that you may write to.") from error
    finally:
        storage.remove(trial)
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
