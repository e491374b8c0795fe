"""Five generators of mazes, by name. Each carves the walls of a row (`envs.worlds.walls`) from the key of a level.

- "open": no inner walls.
- "blocks": every inner cell is a wall with probability `wall_share`, on its own. Free cells need not be connected.
- "tree": nodes are the cells of odd row and odd column, and a uniform spanning tree joins neighbouring nodes by opening
  the cell between them (Wilson's algorithm). Two free cells are connected by exactly one path.
- "braid": a tree, and each wall that is left between two neighbouring nodes is opened with probability `loop_share`.
- "rooms": a cross of walls makes four rooms, and each of its four arms has one door.

All but "blocks" connect all of their free cells. Whoever places things in a maze of blocks floods it first, and carves
again with the counters that follow where there is no room.

Source: Wilson (1996), "Generating random spanning trees more quickly than the cover time", STOC.
"""

# mypy: disable-error-code="no-untyped-def, arg-type, call-arg, call-overload, type-var, operator"
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from numba import njit

from envs.errors import require_choice, require_integer, require_number, require_odd
from envs.noise import integer, uniform
from envs.worlds.cells import MAX_SIZE, ROW_STRIDE, cell_of_rank, is_interior
from envs.worlds.options import WorldConfig, read_with, refuse_unread
from envs.worlds.walls import (
    close_cell,
    count_marks,
    fill_walls,
    is_marked,
    is_wall,
    marked_cell,
    open_cell,
    set_mark,
    step_of,
)

GENERATORS = ("open", "blocks", "tree", "braid", "rooms")
MAX_WALL_SHARE = 0.5
"""Above it mazes of blocks fall apart into single cells, and carving again could take long."""
_BLOCKS, _TREE, _BRAID, _ROOMS = range(1, len(GENERATORS))
_SMALLEST = {"open": 2, "blocks": 2, "tree": 3, "braid": 3, "rooms": 3}
_MOVES_PER_DRAW = 24
_NUM_WALKS = 4**_MOVES_PER_DRAW


class Maze(NamedTuple):
    """Which maze to carve, as the numba functions read it."""

    generator: int
    wall_share: float
    loop_share: float


@dataclass(frozen=True)
class MazeConfig(WorldConfig):
    """Options of a world in mazes of any generator.

    Attributes:
        size: Interior cells per side, 2 to 62; odd and from 3 for "tree" and "braid", from 3 for "rooms".
        generator: "open", "blocks", "tree", "braid" or "rooms".
        wall_share: Probability that an inner cell is a wall with generator "blocks", 0 to 0.5.
        loop_share: Probability that a wall of the tree is opened with generator "braid", 0 to 1.
    """

    size: int = 11
    generator: str = "blocks"
    wall_share: float = read_with("generator", "blocks", default=0.25)
    loop_share: float = read_with("generator", "braid", default=0.25)
    discount: float = 0.99
    time_limit: int = 128

    def __post_init__(self) -> None:
        """Refuse values out of range, and mazes that cannot be."""
        super().__post_init__()
        require_choice("generator", self.generator, choices=GENERATORS)
        what, smallest = f"size of a maze of {self.generator!r}", _SMALLEST[self.generator]
        if self.generator in ("tree", "braid"):
            require_odd(what, self.size, low=smallest, high=MAX_SIZE - 1)
        else:
            require_integer(what, self.size, low=smallest, high=MAX_SIZE)
        require_number("wall_share", self.wall_share, low=0.0, high=MAX_WALL_SHARE)
        require_number("loop_share", self.loop_share, low=0.0, high=1.0)
        refuse_unread(self)

    def maze(self) -> Maze:
        """The numbers of the maze."""
        return Maze(GENERATORS.index(self.generator), float(self.wall_share), float(self.loop_share))


@njit
def carve(walls, maze, row, key, counter):
    """Carve a maze from a level's draws, beginning with number `counter`; returns the number of the next draw.

    What the marks hold before does not matter, and afterwards they hold nothing of use.
    """
    fill_walls(walls, row)
    if maze.generator == _TREE or maze.generator == _BRAID:
        open_cell(walls, row, node_cell(walls, 0))
        counter = grow_tree(walls, row, key, counter)
        return _open_loops(walls, maze, row, key, counter) if maze.generator == _BRAID else counter
    if maze.generator == _BLOCKS:
        return _leave_blocks(walls, maze, row, key, counter)
    for rank in range(walls.size**2):
        open_cell(walls, row, cell_of_rank(rank, walls.size))
    if maze.generator == _ROOMS:
        return _divide(walls, row, key, counter)
    return counter


@njit
def take_marked(walls, row, side, key, counter):
    """One marked cell of the side × side square at the top left, drawn uniformly; it loses its mark."""
    cell = marked_cell(walls, row, side, integer(key, counter, count_marks(walls, row, side)))
    set_mark(walls, row, cell, False)
    return cell


@njit
def _leave_blocks(walls, maze, row, key, counter):
    for rank in range(walls.size**2):
        if uniform(key, counter + rank, 0) >= maze.wall_share:
            open_cell(walls, row, cell_of_rank(rank, walls.size))
    return counter + walls.size**2


@njit
def node_cell(walls, rank):
    """The cell of a node, counted row by row from 0."""
    side = (walls.size + 1) // 2
    return ROW_STRIDE * (rank // side * 2 + 1) + rank % side * 2 + 1


@njit
def grow_tree(walls, row, key, counter):
    """Join every node to the open ones by Wilson's algorithm; with one open node the tree is uniform."""
    for rank in range(((walls.size + 1) // 2) ** 2):
        counter = walk_to_tree(walls, row, node_cell(walls, rank), key, counter)
        open_branch(walls, row, node_cell(walls, rank))
    return counter


@njit
def walk_to_tree(walls, row, node, key, counter):
    """Walk at random from a node to an open one; the marks keep the last step out of each node on the way.

    A step off the grid stays. That leaves the walk reversible with all edges alike, so that trees stay uniform.
    """
    while is_wall(walls, row, node):
        moves = integer(key, counter, _NUM_WALKS)
        counter += 1
        for _ in range(_MOVES_PER_DRAW):
            action = moves & 3
            moves >>= 2
            if is_interior(node + step_of(action), walls.size):
                set_mark(walls, row, node, action & 1 == 1)
                set_mark(walls, row, node + 1, action & 2 == 2)
                node += 2 * step_of(action)
                if not is_wall(walls, row, node):
                    break
    return counter


@njit
def _kept_step(walls, row, node):
    return step_of(int(is_marked(walls, row, node)) + 2 * int(is_marked(walls, row, node + 1)))


@njit
def branch_length(walls, row, node):
    """Nodes that the walk from a node passed before the tree, its loops left out."""
    length = 0
    while is_wall(walls, row, node):
        node += 2 * _kept_step(walls, row, node)
        length += 1
    return length


@njit
def open_branch(walls, row, node):
    """Open the way that the walk from a node took to the tree, without its loops."""
    while is_wall(walls, row, node):
        step = _kept_step(walls, row, node)
        open_cell(walls, row, node)
        open_cell(walls, row, node + step)
        node += 2 * step


@njit
def _open_loops(walls, maze, row, key, counter):
    """Cells whose row or column is odd, but not both, stand between two nodes."""
    for rank in range(1, walls.size**2, 2):
        cell = cell_of_rank(rank, walls.size)
        if is_wall(walls, row, cell):
            if uniform(key, counter, 0) < maze.loop_share:
                open_cell(walls, row, cell)
            counter += 1
    return counter


@njit
def _divide(walls, row, key, counter):
    """Arms of a cross around the middle cell, in the order up, right, down, left, each with a door drawn uniformly."""
    middle = (walls.size + 1) // 2
    centre = middle * (ROW_STRIDE + 1)
    close_cell(walls, row, centre)
    for arm in range(4):
        length = middle - 1 if arm == 0 or arm == 3 else walls.size - middle
        door = 1 + integer(key, counter + arm, length)
        for i in range(1, length + 1):
            if i != door:
                close_cell(walls, row, centre + i * step_of(arm))
    return counter + 4
