"""Files that are whole or absent: atomic writes, strict JSON, SHA-256, and the sweeping of what a killed process left.

Every write goes to a temporary name in the same folder, is fsynced, renamed, and the folder is fsynced, so a process
killed at any instant leaves the old content or the new one and at most one orphan whose name starts with ``.tmp-``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from envs.errors import UserError

TEMPORARY_PREFIX = ".tmp-"


def temporary_path(folder: Path) -> Path:
    """Return an unused name in ``folder`` that ``sweep`` recognises; it holds the process id, so a live one is kept."""
    return folder / f"{TEMPORARY_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:12]}"


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically; missing parent folders are made.

    Args:
        path: the file to write or to replace.
        data: its whole content.

    Raises:
        UserError: the folder cannot be written (no right, a file in the way, disk full); the old content stays.
    """
    with writing(path) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece, which takes its name when the block ends, and is removed where the block raises.

    Raises:
        UserError: the folder cannot be written (no right, a file in the way, disk full); the old content stays.
    """
    path = Path(path)
    temporary = temporary_path(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(_cannot("write", path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically: equal values give equal bytes.

    Args:
        path: the file to write or to replace.
        value: dicts with string keys, lists, strings, booleans, integers, finite floats, None.

    Raises:
        UserError: the folder cannot be written.
        ValueError: a float is NaN or infinite (the message gives its place), or a key is not a string.
        TypeError: a value of another type.
    """
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return the bytes that ``write_json`` writes; raises as it does, before anything is written."""
    _check_json(value, "")
    return (json.dumps(value, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode("utf-8")


def read_json(path: str | Path) -> Any:
    """Read strict JSON (NaN and Infinity are refused).

    Raises:
        UserError: the file is missing, cannot be read, or is not JSON.
    """
    try:
        return parse_json(Path(path).read_bytes())
    except OSError as error:
        raise UserError(_cannot("read", path, error)) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"File '{path}' is not valid JSON ({error}); write it again or restore a copy.") from error


def parse_json(data: bytes) -> Any:
    """Parse strict JSON from bytes; ValueError where it is not UTF-8, not JSON, or holds NaN or Infinity."""
    return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits; UserError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(_cannot("read", path, error)) from error


def sweep(folder: str | Path) -> int:
    """Remove what killed processes left in ``folder``: files and folders named ``.tmp-*``.

    A temporary whose process still runs on this machine is kept, except this process's own: call this at a start,
    before writing. An unreadable or missing folder counts as empty.

    Returns:
        The number of orphans removed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return 0
    orphans = [path for path in folder.glob(f"{TEMPORARY_PREFIX}*") if not _owner_runs(path)]
    for path in orphans:
        remove(path)
    return len(orphans)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def previous_folder(folder: str | Path) -> Path:
    """Return where ``replace_folder`` keeps what it replaced: the same name with ``.previous`` appended."""
    folder = Path(folder)
    return folder.with_name(folder.name + ".previous")


def replace_folder(temporary: Path, folder: str | Path) -> None:
    """Put the finished folder ``temporary`` (same parent) at ``folder``; what stood there goes to ``.previous``.

    No system call swaps two full folders everywhere, so there are two renames. Killed between them, the process
    leaves the old content whole under ``previous_folder(folder)``, and a reader that misses ``folder`` looks there.

    Raises:
        UserError: a rename is refused.
    """
    folder, previous = Path(folder), previous_folder(folder)
    try:
        sync_folder(temporary)
        if folder.exists():
            remove(previous)
            os.rename(folder, previous)
        os.rename(temporary, folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise UserError(_cannot("write", folder, error)) from error


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk; a no-op on systems that cannot open folders."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _owner_runs(path: Path) -> bool:
    """Tell whether the process named in a temporary's name is alive and another one."""
    digits = path.name.removeprefix(TEMPORARY_PREFIX).split("-")[0]
    if not digits.isdigit() or int(digits) == os.getpid() or os.name != "posix":
        return False
    try:
        os.kill(int(digits), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _cannot(action: str, path: str | Path, error: OSError) -> str:
    """Word a refusal of the operating system as one line."""
    cure = "choose a folder that you may write to" if action == "write" else "check the name and its permissions"
    return f"Cannot {action} '{path}': {error.strerror or error}; {cure}."


def _check_json(value: Any, place: str) -> None:
    """Raise ValueError at the first non-finite float or non-string key, naming its place."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON takes finite numbers only, but the value at '{place or '/'}' is {value}.")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"JSON takes string keys only, but a key at '{place or '/'}' is {key!r}.")
            _check_json(item, f"{place}/{key}")
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_json(item, f"{place}/{index}")


def _refuse_constant(name: str) -> Any:
    """Refuse the NaN and Infinity that Python's reader would take."""
    raise ValueError(f"the number {name} is not finite")
