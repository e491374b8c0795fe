"""Where results came from: hashes of our sources, git state, host, packages, threads. All of it outside the digest."""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("envs", "shards", "agents", "analysis")
RECORDED_DISTRIBUTIONS = ("numpy", "numba", "scipy", "torch", "gymnasium", "minigrid", "scikit-learn")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
ROOT = Path(__file__).resolve().parent.parent


def source_hashes(modules: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of the Python sources of each of our packages, and of ``modules`` that lie outside them.

    Args:
        modules: import names of the modules that define cell functions.

    Returns:
        Name -> hash over the relative paths and contents in sorted order; packages that are absent are left out.
    """
    hashes = {name: _hash_files(ROOT / name) for name in PACKAGES if (ROOT / name).is_dir()}
    for module in sorted(set(modules)):
        spec = None if module.split(".")[0] in PACKAGES else importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
            hashes[module] = hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    return hashes


def run_record() -> dict[str, Any]:
    """Describe this process for the run manifest: time, host, interpreter, packages, git state, threads."""
    return {
        "started_utc": utc_now(),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "num_cpus": os.cpu_count(),
        "pid": os.getpid(),
        "packages": {name: version for name in RECORDED_DISTRIBUTIONS if (version := _version(name))},
        "git": git_state(),
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
    }


def git_state() -> dict[str, Any] | None:
    """Return the commit of our sources and the names of files that differ from it; None outside a git checkout."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--", *PACKAGES)
    if commit is None or status is None:
        return None
    return {"commit": commit.strip(), "changed": [line[3:] for line in status.splitlines()]}


def num_torch_threads() -> int | None:
    """Return torch's thread count where torch is loaded, without loading it."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def utc_now() -> str:
    """Return the time in UTC, ISO 8601 with microseconds: such texts sort by time."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def _hash_files(package: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _git(*arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None


@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
