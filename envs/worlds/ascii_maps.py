"""ASCII maps, read and checked: what an author may have drawn wrong is refused when the world's module is imported.

A map is text of equally long lines: `#` wall, `.` floor, `@` the agent's start, and letters for objects. All maps of a
world have one size and a closed border, and a path leads from the agent to every object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.errors import UserError
from envs.worlds.cells import MAX_SIZE, ROW_STRIDE

WALL, FLOOR, AGENT = "#", ".", "@"
FIRST_OBJECT = 2
"""Entry of a row that holds the first object; before it stand the agent and the map."""
MAX_CONSTANT = 10**6 - 1
"""Bytes of the largest constant with which numba still caches a kernel."""

Grid = npt.NDArray[np.str_]
Cell = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Maps:
    """M checked maps of one size, the training maps first.

    Attributes:
        objects: Letter -> name of the objects, in the order of their planes.
        entries: Name -> the entries of a row that hold the cells of these objects.
        rows: int16[M, S], the first row of each map.
        walls: uint8[M, H, W], 1 at walls.
        num_train: Number of training maps; the others are test maps.
    """

    objects: Mapping[str, str]
    entries: Mapping[str, tuple[int, ...]]
    rows: npt.NDArray[np.int16]
    walls: npt.NDArray[np.uint8]
    num_train: int


def read_maps(train: Sequence[str], test: Sequence[str], *, objects: Mapping[str, str]) -> Maps:
    """Read maps, and refuse what no level can be.

    Args:
        train: Maps of the training levels, at least one.
        test: Maps of the test levels, at least one, none of which is a training map.
        objects: Letter -> name; a letter may stand in a map any number of times, each of which gets an entry.

    Raises:
        UserError: The first thing that is wrong: no map, ragged lines, maps of different sizes or too large, an unknown
            letter, an open border, no agent or two, an object that no path leads to, a map that is drawn twice, a
            letter that no map uses.
    """
    _check_letters(objects)
    named = {f"Training map {i}": text for i, text in enumerate(train)}
    named |= {f"Test map {i}": text for i, text in enumerate(test)}
    if not train or not test:
        raise UserError(f"There are {len(train)} training maps and {len(test)} test maps; draw at least one of each.")
    grids = {name: _grid(text, name) for name, text in named.items()}
    first = next(iter(grids.values()))
    room = MAX_CONSTANT // (ROW_STRIDE * len(first))
    if len(grids) > room:
        raise UserError(
            f"There are {len(grids)} maps of {_size(first)}, a kernel holds at most {room} of this size; draw "
            "fewer or smaller ones."
        )
    for name, grid in grids.items():
        if grid.shape != first.shape:
            raise UserError(f"{name} is {_size(grid)}, Training map 0 is {_size(first)}; draw all maps equally large.")
        _check(grid, name, objects=objects)
    _check_splits(grids)
    return _packed(list(grids.values()), objects, num_train=len(train))


def _check_letters(objects: Mapping[str, str]) -> None:
    for letter in objects:
        if len(letter) != 1 or not letter.isalpha():
            raise UserError(f"Object {letter!r} is no single letter; choose one from a to z or A to Z.")
    names = [*objects.values(), "agent", "wall"]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UserError(f"Two planes would be called {repeated[0]!r}; give each object a name of its own.")


def _grid(text: str, name: str) -> Grid:
    """The letters [H, W] of a map whose lines are equally long."""
    lines = [line.strip() for line in text.strip().splitlines()]
    for number, line in enumerate(lines):
        if len(line) != len(lines[0]):
            raise UserError(
                f"{name} is ragged: line {number} has {len(line)} cells, line 0 has {len(lines[0])}; make them equal."
            )
    grid = np.array([list(line) for line in lines])
    if grid.ndim != 2 or max(grid.shape) > MAX_SIZE + 2:
        seen = "empty" if grid.ndim != 2 else _size(grid)
        raise UserError(f"{name} is {seen}, a map may have 3 to {MAX_SIZE + 2} cells per side; draw it anew.")
    return grid


def _check(grid: Grid, name: str, *, objects: Mapping[str, str]) -> None:
    known = ", ".join([WALL, FLOOR, AGENT, *(f"{letter} ({word})" for letter, word in objects.items())])
    for cell in _cells(~np.isin(grid, [WALL, FLOOR, AGENT, *objects])):
        raise UserError(
            f"{name} has {str(grid[cell])!r} {_place(cell)}, known are {known}; draw one of these or name the letter."
        )
    border = grid != WALL
    border[1:-1, 1:-1] = False
    for cell in _cells(border):
        raise UserError(f"{name} has an open border {_place(cell)}; close it with {WALL}.")
    agents = _cells(grid == AGENT)
    if len(agents) != 1:
        raise UserError(f"{name} has {len(agents)} agents; write {AGENT} once.")
    reached = _reached(grid, agents[0])
    for cell in _cells(np.isin(grid, list(objects))):
        if cell not in reached:
            word = objects[str(grid[cell])]
            raise UserError(f"{name} has {word!r} {_place(cell)}, to which no path leads; open a wall or move it.")


def _reached(grid: Grid, start: Cell) -> set[Cell]:
    """All cells to which a path without walls leads; objects are no obstacle. The border must be closed."""
    reached, waiting = {start}, [start]
    while waiting:
        y, x = waiting.pop()
        fresh = {(y - 1, x), (y, x + 1), (y + 1, x), (y, x - 1)} - reached
        free = {cell for cell in fresh if grid[cell] != WALL}
        reached |= free
        waiting += free
    return reached


def _check_splits(grids: Mapping[str, Grid]) -> None:
    """Refuse a map that is drawn twice: a test map must be new, and twice the same training map counts double."""
    seen: dict[bytes, str] = {}
    for name, grid in grids.items():
        other = seen.setdefault(grid.tobytes(), name)
        if other != name:
            raise UserError(f"{name} is the same as {other}; draw another one.")


def _packed(grids: list[Grid], objects: Mapping[str, str], *, num_train: int) -> Maps:
    entries: dict[str, tuple[int, ...]] = {}
    size = FIRST_OBJECT
    for letter, name in objects.items():
        count = max(int((grid == letter).sum()) for grid in grids)
        if count == 0:
            raise UserError(f"Object {letter!r} ({name}) stands in no map; draw it or leave the letter out.")
        entries[name] = tuple(range(size, size + count))
        size += count
    rows = np.full((len(grids), size), -1, np.int16)
    for index, grid in enumerate(grids):
        rows[index, :FIRST_OBJECT] = _number(_cells(grid == AGENT)[0]), index
        for letter, name in objects.items():
            for entry, cell in zip(entries[name], _cells(grid == letter), strict=False):
                rows[index, entry] = _number(cell)
    walls = np.array([grid == WALL for grid in grids]).astype(np.uint8)
    return Maps(dict(objects), entries, rows, walls, num_train)


def _cells(mask: npt.NDArray[np.bool_]) -> list[Cell]:
    return [(int(y), int(x)) for y, x in np.argwhere(mask)]


def _number(cell: Cell) -> int:
    return ROW_STRIDE * cell[0] + cell[1]


def _place(cell: Cell) -> str:
    return f"at line {cell[0]}, column {cell[1]}"


def _size(grid: Grid) -> str:
    return f"{grid.shape[0]} x {grid.shape[1]}"
