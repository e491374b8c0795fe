"""Planted controls, whose outcome depends on the code alone and is therefore kept from one report to the next.

    outcome = cached_control("sparse/dozen gaussians", code_version(sparse_features), compute)

Outcomes lie in `controls/` under `$VALUELAB_CACHE`, else under `~/.cache/valuelab`; deleting them costs only time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from envs import storage
from envs.errors import UserError

Outcome = Mapping[str, float]
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")
"""What they compute can move in the last digits, and with them a control, from version to version."""


def code_version(*modules: ModuleType) -> str:
    """A hash of the sources of the modules that a control runs."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cached_control(name: str, version: str, compute: Callable[[], Outcome]) -> Outcome:
    """The outcome of a planted control, computed where no outcome of this code is kept.

    Args:
        name: Says which control, with its settings.
        version: From `code_version`.
        compute: Gives numbers by name (NaN: not defined); the same ones at every call.

    Returns:
        The numbers. A cache that cannot be read or written costs time only.
    """
    path = _folder() / f"{_key(name, version)}.json"
    with contextlib.suppress(UserError):
        kept = storage.read_json(path)["outcome"]
        return {key: math.nan if value is None else float(value) for key, value in kept.items()}
    outcome = {key: float(value) for key, value in compute().items()}
    plain = {key: value if math.isfinite(value) else None for key, value in outcome.items()}
    with contextlib.suppress(UserError):
        storage.write_json(path, {"control": name, "version": version, "outcome": plain})
    return outcome


def _folder() -> Path:
    named = os.environ.get("VALUELAB_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "valuelab"
    return base / "controls"


def _key(name: str, version: str) -> str:
    installed = [f"{package} {importlib.metadata.version(package)}" for package in PACKAGES]
    return hashlib.sha256("\0".join([name, version, *installed]).encode()).hexdigest()[:32]
