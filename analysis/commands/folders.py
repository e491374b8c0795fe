"""Folders that commands write to, tried before the work rather than after it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from envs import storage
from envs.errors import UserError


def folder_named(*words: str) -> Path:
    """runs/WORD-WORD-..., with a dash for whatever may not stand in a file's name."""
    return Path("runs") / re.sub(r"[^\w.-]+", "-", "-".join(words))


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
