"""Walls inside a room, one bit a cell in the words of a row, and what can be reached between them.

Cells are numbered as in `envs.worlds.cells`. The grid has size + 2 lines of ceil((size + 2) / 16) words of int16; cell
(y, x) is bit x & 15 of word x >> 4 of line y, 1 where there is a wall. The outer walls are stored too, so that a move
needs no other test. Behind the walls the row holds a second grid of the same shape, the marks, in which `begin` may
search. It must leave them zero: a row is the Markov state and nothing else.

A line of at most 64 bits is worked on as one int64, so that a flood costs a few operations a line and not a cell.
"""

# mypy: disable-error-code="call-arg, type-var, operator, assignment, comparison-overlap, no-any-return, return-value"
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from envs.worlds.cells import ROW_STRIDE, is_interior

Row = npt.NDArray[np.int16]

_LINE_SHIFT, _X_MASK = 6, ROW_STRIDE - 1
_WORD_BITS, _WORD_SHIFT, _BIT_MASK, _WORD_MASK = 16, 4, 15, 0xFFFF


class Walls(NamedTuple):
    """Where a row keeps its walls.

    Attributes:
        size: Interior cells per side.
        words: Words of one line.
        first: Index in the row of the first word of the walls.
        marks: Index in the row of the first word of the marks.
    """

    size: int
    words: int
    first: int
    marks: int


def walls_behind(num_entries: int, *, size: int) -> Walls:
    """Walls of a room of size × size cells, behind the first `num_entries` entries of the row."""
    words = -(-(size + 2) // _WORD_BITS)
    return Walls(size, words, num_entries, num_entries + (size + 2) * words)


def row_size(walls: Walls) -> int:
    """S, the entries of a row that ends with the marks of these walls."""
    return 2 * walls.marks - walls.first


@njit
def _bit_of(row: Row, start: int, words: int, cell: int) -> int:
    x = cell & _X_MASK
    return row[start + (cell >> _LINE_SHIFT) * words + (x >> _WORD_SHIFT)] >> (x & _BIT_MASK) & 1


@njit
def _set_bit(row: Row, start: int, words: int, cell: int, bit: int) -> None:
    x = cell & _X_MASK
    i = start + (cell >> _LINE_SHIFT) * words + (x >> _WORD_SHIFT)
    row[i] = row[i] & ~(1 << (x & _BIT_MASK)) | bit << (x & _BIT_MASK)


@njit
def _line(row: Row, start: int, words: int) -> int:
    """One line as an integer; bit x is column x."""
    line = 0
    for i in range(words):
        line |= (row[start + i] & _WORD_MASK) << (_WORD_BITS * i)
    return line


@njit
def is_wall(walls: Walls, row: Row, cell: int) -> bool:
    """Whether there is a wall at a cell of the grid, the outer walls included."""
    return _bit_of(row, walls.first, walls.words, cell) == 1


@njit
def is_free(walls: Walls, row: Row, cell: int) -> bool:
    """Whether an integer is the number of an interior cell without a wall."""
    return is_interior(cell, walls.size) and not is_wall(walls, row, cell)


@njit
def fill_walls(walls: Walls, row: Row) -> None:
    """Walls everywhere."""
    for i in range(walls.first, walls.marks):
        row[i] = -1


@njit
def open_cell(walls: Walls, row: Row, cell: int) -> None:
    """No wall at an interior cell."""
    _set_bit(row, walls.first, walls.words, cell, 0)


@njit
def close_cell(walls: Walls, row: Row, cell: int) -> None:
    """A wall at an interior cell."""
    _set_bit(row, walls.first, walls.words, cell, 1)


@njit
def step_of(action: int) -> int:
    """What an action adds to a cell: 0 up, 1 right, 2 down, 3 left."""
    return (int(action == 2) - int(action == 0)) * ROW_STRIDE + int(action == 1) - int(action == 3)


@njit
def move(walls: Walls, row: Row, cell: int, action: int) -> int:
    """Cell after one action; a move into a wall stays."""
    target = cell + step_of(action)
    return cell if is_wall(walls, row, target) else target


@njit
def draw_walls(walls: Walls, row: Row, planes: npt.NDArray[np.uint8]) -> None:
    """Draw the inner walls into the last plane; the background holds the outer ones."""
    plane = planes.shape[0] - 1
    for y in range(1, walls.size + 1):
        line = _line(row, walls.first + y * walls.words, walls.words)
        for x in range(1, walls.size + 1):
            planes[plane, y, x] = line >> x & 1


@njit
def clear_marks(walls: Walls, row: Row) -> None:
    """No cell is marked."""
    for i in range(walls.marks, 2 * walls.marks - walls.first):
        row[i] = 0


@njit
def is_marked(walls: Walls, row: Row, cell: int) -> bool:
    """Whether a cell is marked."""
    return _bit_of(row, walls.marks, walls.words, cell) == 1


@njit
def set_mark(walls: Walls, row: Row, cell: int, marked: bool) -> None:
    """Mark a cell, or take its mark away."""
    _set_bit(row, walls.marks, walls.words, cell, int(marked))


@njit
def _spread(walls: Walls, row: Row) -> bool:
    """Mark the free cells beside marked ones; whether there were any that had no mark."""
    spread, above, here = False, 0, _line(row, walls.marks + walls.words, walls.words)
    for y in range(1, walls.size + 1):
        start = walls.marks + y * walls.words
        below = _line(row, start + walls.words, walls.words)
        free = ~_line(row, walls.first + y * walls.words, walls.words)
        line = (here | here << 1 | here >> 1 | above | below) & free
        if line != here:
            spread = True
            for i in range(walls.words):
                row[start + i] = line >> (_WORD_BITS * i) & _WORD_MASK
        above, here = here, below
    return spread


@njit
def flood(walls: Walls, row: Row, cell: int) -> None:
    """Mark all cells that can be reached from a cell, itself included; none if it is a wall."""
    clear_marks(walls, row)
    if not is_wall(walls, row, cell):
        set_mark(walls, row, cell, True)
        while _spread(walls, row):
            pass


@njit
def path_distance(walls: Walls, row: Row, first: int, second: int, limit: int) -> int:
    """Steps of a shortest path between two free cells, -1 if there is none of at most `limit`; no mark stays."""
    clear_marks(walls, row)
    set_mark(walls, row, first, True)
    length = 0
    while not is_marked(walls, row, second):
        if length == limit or not _spread(walls, row):
            length = -1
            break
        length += 1
    clear_marks(walls, row)
    return length


@njit
def _marked_line(walls: Walls, row: Row, y: int, side: int) -> int:
    """The marks of line y in columns 1 to side."""
    return _line(row, walls.marks + y * walls.words, walls.words) & ((2 << side) - 2)


@njit
def count_marks(walls: Walls, row: Row, side: int) -> int:
    """Number of marked cells in the side × side square at the top left."""
    count = 0
    for y in range(1, side + 1):
        line = _marked_line(walls, row, y, side)
        while line != 0:
            line &= line - 1
            count += 1
    return count


@njit
def marked_cell(walls: Walls, row: Row, side: int, rank: int) -> int:
    """The rank-th marked cell of that square, row by row from 0; rank < count_marks(walls, row, side)."""
    for y in range(1, side + 1):
        line = _marked_line(walls, row, y, side)
        while line != 0:
            if rank == 0:
                x = 1
                while not line >> x & 1:
                    x += 1
                return y * ROW_STRIDE + x
            line &= line - 1
            rank -= 1
    return -1
