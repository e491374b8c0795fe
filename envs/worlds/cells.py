"""Cells of a walled square room, packed so that no division stands in a kernel.

The interior has size × size cells. The cell at grid row y and grid column x, both counted from the wall's 0, is the
number 64 · y + x; interior cells have 1 ≤ y, x ≤ size. The rank of an interior cell counts row by row from 0.
"""

# mypy: disable-error-code="call-arg, call-overload, type-var, operator, return-value"
from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from envs.noise import integer

ACTION_NAMES = ("up", "right", "down", "left")
MAX_SIZE = 62
_SHIFT, _MASK = 6, 63
ROW_STRIDE = 1 << _SHIFT
"""A cell is ROW_STRIDE * y + x."""


@njit
def cell_of_rank(rank: int, size: int) -> int:
    """Cell of the rank-th interior cell, rank in [0, size²)."""
    return ((rank // size + 1) << _SHIFT) + rank % size + 1


@njit
def rank_of_cell(cell: int, size: int) -> int:
    """Rank of an interior cell."""
    return ((cell >> _SHIFT) - 1) * size + (cell & _MASK) - 1


@njit
def move(cell: int, action: int, size: int) -> int:
    """Cell after one action (0 up, 1 right, 2 down, 3 left); a move into the wall stays."""
    y, x = cell >> _SHIFT, cell & _MASK
    y += int(action == 2) * int(y < size) - int(action == 0) * int(y > 1)
    x += int(action == 1) * int(x < size) - int(action == 3) * int(x > 1)
    return (y << _SHIFT) + x


@njit
def is_interior(cell: int, size: int) -> bool:
    """Whether an integer is the number of an interior cell."""
    return 1 <= cell >> _SHIFT <= size and 1 <= cell & _MASK <= size


@njit
def in_line(cell: int, other: int, size: int) -> bool:
    """Whether an integer is the number of an interior cell in the same row of the grid as another cell."""
    return cell >> _SHIFT == other >> _SHIFT and is_interior(cell, size)


@njit
def unchanged(row: npt.NDArray[np.int16], first: npt.NDArray[np.int16], start: int, stop: int) -> bool:
    """Whether entries `start` to `stop` - 1 of a row are those of the first row."""
    same = True
    for i in range(start, stop):
        same = same and row[i] == first[i]
    return same


@njit
def is_among(cell: int, cells: npt.NDArray[np.int16]) -> bool:
    """Whether a cell is one of some cells."""
    found = False
    for other in cells:
        found = found or other == cell
    return found


@njit
def shift_right(cell: int, size: int) -> int:
    """The next cell to the right, from the last column back to the first."""
    return cell + 1 if (cell & _MASK) < size else cell - size + 1


@njit
def distance(first: int, second: int) -> int:
    """Path length between two cells, which in an open room is the Manhattan distance."""
    return abs((first >> _SHIFT) - (second >> _SHIFT)) + abs((first & _MASK) - (second & _MASK))


@njit
def free_cell(taken: npt.NDArray[np.int16], rank: int, size: int) -> int:
    """The rank-th interior cell that is not in `taken`.

    Its rank among all cells is the least r with r = rank + #{taken ranks ≤ r}; iterating from r = rank climbs to it.
    """
    found = rank
    while True:
        climbed = rank
        for other in taken:
            if rank_of_cell(other, size) <= found:
                climbed += 1
        if climbed == found:
            return cell_of_rank(found, size)
        found = climbed


@njit
def scatter(cells: npt.NDArray[np.int16], key: int, size: int) -> None:
    """Fill `cells` with distinct interior cells, uniformly, by draws 0, 1, ... of a level's key."""
    for i in range(cells.size):
        cells[i] = free_cell(cells[:i], integer(key, i, size * size - i), size)


@njit
def equal_pair(agent: int, size: int, rank: int) -> tuple[int, int, int]:
    """The rank-th ordered pair of cells at equal distance from the agent, in an open room.

    Returns:
        (rank, first, second); rank -1 gives the number of pairs instead, and no cells.
    """
    count = 0
    for i in range(size * size):
        first = cell_of_rank(i, size)
        length = distance(agent, first)
        for j in range(size * size):
            second = cell_of_rank(j, size)
            if length > 0 and i != j and distance(agent, second) == length:
                if count == rank:
                    return count, first, second
                count += 1
    return count, -1, -1


@njit
def draw_cell(planes: npt.NDArray[np.uint8], plane: int, cell: int) -> None:
    """Mark a cell in one plane."""
    planes[plane, cell >> _SHIFT, cell & _MASK] = 1


def room_background(size: int, *, num_planes: int) -> npt.NDArray[np.uint8]:
    """Background uint8[num_planes, size + 2, size + 2] whose last plane holds the walls and whose others are empty."""
    planes = np.zeros((num_planes, size + 2, size + 2), np.uint8)
    planes[-1] = 1
    planes[-1, 1:-1, 1:-1] = 0
    return planes
