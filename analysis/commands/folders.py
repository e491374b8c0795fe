"""Folders that commands write to, tried before the work rather than after it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from analysis.preregistration import holds_plan
from envs import storage
from envs.errors import UserError
from envs.niceness.case_registry import is_file


def folder_named(*words: str) -> Path:
    """runs/WORD-WORD-..., with a dash for whatever may not stand in a file's name."""
    return Path("runs") / re.sub(r"[^\w.-]+", "-", "-".join(words))


def case_words(name: str) -> str:
    """A case as folders are named after it: a file with the folders that its path names."""
    return str(Path(name).with_suffix("")) if is_file(name) else name


def require_file(path: Path) -> None:
    """Refuse a path where a file cannot be written, as `require_writable` does, and a folder in its place.

    Raises:
        UserError: no right, or a folder of that name.
    """
    if path.is_dir():
        raise UserError(f"'{path}' is a folder, but one file is written; name a file, in it or elsewhere.")
    require_writable(path.parent)


def require_frozen(path: Path | None, *, how: str) -> None:
    """Refuse what is no file, or holds no frozen plan, before a study runs, and say which command writes one."""
    if path is None:
        return
    if not path.is_file():
        raise UserError(f"--preregistration is '{path}', which is no file; `{how}` writes one, before the study runs.")
    if not holds_plan(storage.read_json(path)):
        raise UserError(f"--preregistration is '{path}', which holds no frozen plan; `{how}` writes one.")


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
