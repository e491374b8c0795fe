"""Cells: the units of a study. A cell names a registered function, its config and its parent cells, by content hash.

    hash = sha256(canonical JSON of {function key, code version, config, parent hashes})

so equal work has one name in every study, process and machine, and a finished cell is never computed twice. The code
version is raised by hand when a function's numbers change. Records hold keys, never import paths.

A study's module registers its functions:

    @cell_function("comparison.fit", version=1, seconds=4.0)
    def fit(context: CellContext) -> list[dict[str, object]]:
        recorder = context.parent("comparison.record")
        ...  # read recorder.folder, write what later cells need into context.folder
        return [{"metric": "rms", "value": 0.1}]

and describes its work with `Cell("comparison.fit", {"arm": "MONO", "seed": 3}, parents=(record,))`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from analysis.canonical import content_hash, plain
from envs.errors import UserError, nearest

Row = dict[str, Any]
Function = Callable[["CellContext"], Sequence[Mapping[str, object]]]


@dataclass(frozen=True)
class CellFunction:
    """A function that computes cells.

    Attributes:
        function: takes a `CellContext` and returns rows; a module-level function, since workers import it by name.
        version: raised by hand when the function's numbers change.
        seconds: expected duration, a number or a function of the config; it orders the work and tells the remaining
            time until measured durations are there. It has no effect on results.
    """

    function: Function
    version: int
    seconds: float | Callable[[Mapping[str, Any]], float] = 4.0


CELLS: dict[str, CellFunction] = {}
"""The registry: key -> function. Studies add to it when their modules are imported."""


@dataclass(frozen=True)
class ParentResult:
    """What a finished parent cell left: its description, its rows, and the ``folder`` with its artifacts."""

    function: str
    config: Row
    rows: list[Row]
    folder: Path


@dataclass(frozen=True)
class CellContext:
    """What a cell function receives.

    Attributes:
        config: the cell's config, as plain JSON values.
        parents: hash -> result, in the order in which the cell names its parents.
        folder: an empty folder for artifacts (checkpoints, episodes); it becomes visible when the cell is finished.
    """

    config: Row
    parents: dict[str, ParentResult]
    folder: Path

    def parent(self, function: str) -> ParentResult:
        """Return the one parent that was computed by the function with this key; UserError unless exactly one is."""
        found = [parent for parent in self.parents.values() if parent.function == function]
        if len(found) != 1:
            keys = [parent.function for parent in self.parents.values()]
            raise UserError(f"{len(found)} parents were computed by {function!r}, but one is needed; there are {keys}.")
        return found[0]


@dataclass(frozen=True, eq=False)
class Cell:
    """One unit of work; equal hashes are equal cells.

    Attributes:
        function: a key of `CELLS`.
        config: JSON values by name; a copy is kept, so later changes of the argument have no effect.
        parents: cells (or hashes of cells) whose results the function reads.
        version: the function's version when the cell was described.
    """

    function: str
    config: Mapping[str, Any] = field(default_factory=dict)
    parents: Sequence[Cell | str] = ()
    version: int = field(init=False)

    def __post_init__(self) -> None:
        """Look up the version and replace the arguments by read-only copies."""
        config = plain(dict(self.config), f"Config of {self.function}")
        object.__setattr__(self, "version", registered(self.function).version)
        object.__setattr__(self, "config", MappingProxyType(config))
        object.__setattr__(self, "parents", tuple(self.parents))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical description, 64 hexadecimal digits."""
        return content_hash(self.description())

    @property
    def parent_hashes(self) -> tuple[str, ...]:
        """The parents as hashes, in the order given."""
        return tuple(parent.hash if isinstance(parent, Cell) else parent for parent in self.parents)

    def description(self) -> Row:
        """Return the four fields that the hash covers."""
        return {
            "function": self.function,
            "version": self.version,
            "config": dict(self.config),
            "parents": list(self.parent_hashes),
        }

    @property
    def seconds(self) -> float:
        """Expected duration, from the registry."""
        seconds = registered(self.function).seconds
        return float(seconds(self.config)) if callable(seconds) else seconds

    def __str__(self) -> str:
        """Name the cell in a line: function, config, its short entries first, and the start of its hash."""
        config = ", ".join(sorted((f"{key}={value}" for key, value in self.config.items()), key=len))
        return f"{self.function}({config if len(config) <= 160 else config[:157] + '...'}) [{self.hash[:10]}]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)


def cell_function(
    key: str, *, version: int, seconds: float | Callable[[Mapping[str, Any]], float] = 4.0
) -> Callable[[Function], Function]:
    """Register the decorated module-level function under ``key`` and return it unchanged.

    Raises:
        UserError: the key belongs to another function, or workers could not import this one.
    """

    def register(function: Function) -> Function:
        place, known = address(function), CELLS.get(key)
        if known is not None and address(known.function) != place:
            raise UserError(f"Key {key!r} belongs to {address(known.function)} already; choose another one.")
        CELLS[key] = CellFunction(function, version, seconds)
        return function

    return register


def registered(key: str) -> CellFunction:
    """Return the entry for ``key``; UserError with the nearest key where there is none."""
    if key not in CELLS:
        raise UserError(
            f"No cell function is registered as {key!r}; known are {sorted(CELLS)}.{nearest(key, CELLS)} "
            "Import the module that registers it first."
        )
    return CELLS[key]


def address(function: Function) -> str:
    """Return "module:name", by which a worker imports the function; UserError where it could not."""
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or "<" in name:
        raise UserError(
            f"Cell function {module}:{name} cannot be imported by a worker; define it at the top level of a module "
            "that is not the script being run."
        )
    return f"{module}:{name}"
