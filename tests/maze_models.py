"""The mazes written a second time, with sets of cells and plain breadth-first search; nothing here calls a kernel."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np
from reference_models import MOVES, interior, walls_of

from envs.noise import integer, level_key, uniform

GENERATORS = ("open", "blocks", "tree", "braid", "rooms")


class Draws:
    """The draws of a level's key, one after the other."""

    def __init__(self, level):
        self.key, self.count = level_key(level), 0

    def integer(self, limit):
        self.count += 1
        return integer(self.key, self.count - 1, limit)

    def uniform(self):
        self.count += 1
        return uniform(self.key, self.count - 1, 0)

    def choice(self, items):
        items = sorted(items)
        return items[self.integer(len(items))]


def neighbours(cell, *, step=1):
    return [(cell[0] + step * dy, cell[1] + step * dx) for dy, dx in MOVES.values()]


def paths_from(free, cell):
    """Path length to each cell of the set that can be reached from one of them, {} if it is not among them."""
    lengths, waiting = ({cell: 0}, deque([cell])) if cell in free else ({}, deque())
    while waiting:
        here = waiting.popleft()
        for after in neighbours(here):
            if after in free and after not in lengths:
                lengths[after] = lengths[here] + 1
                waiting.append(after)
    return lengths


def nodes_of(size):
    return set(itertools.product(range(1, size + 1, 2), repeat=2))


def loop_erased_walk(draws, size, *, start, free):
    """Nodes and the cells between them, from a node to the first free cell; loops are cut as soon as they close."""
    way, nodes = [start], nodes_of(size)
    while way[-1] not in free:
        moves = draws.integer(4**24)
        for _ in range(24):
            moves, action = divmod(moves, 4)
            after = neighbours(way[-1], step=2)[action]
            if after in nodes:
                way += [neighbours(way[-1])[action], after]
                del way[way.index(after) + 1 :]
            if way[-1] in free:
                break
    return way


def grown_tree(draws, size, *, free):
    """Wilson's algorithm: the free cells with a walk from each node, row by row."""
    for node in sorted(nodes_of(size)):
        free = free | set(loop_erased_walk(draws, size, start=node, free=free))
    return free


def carved(draws, config):
    """Free cells of a maze."""
    size, cells = config.size, interior(config.size)
    if config.generator in ("tree", "braid"):
        free = grown_tree(draws, size, free={(1, 1)})
        between = [cell for cell in cells if sum(cell) % 2 and cell not in free]
        return free | {cell for cell in between if config.generator == "braid" and draws.uniform() < config.loop_share}
    if config.generator == "blocks":
        return {cell for cell in cells if draws.uniform() >= config.wall_share}
    if config.generator == "open":
        return set(cells)
    middle = (size + 1) // 2
    before, behind = range(1, middle), range(middle + 1, size + 1)
    arms = [
        [(y, middle) for y in reversed(before)],
        [(middle, x) for x in behind],
        [(y, middle) for y in behind],
        [(middle, x) for x in reversed(before)],
    ]
    doors = {arm[draws.integer(len(arm))] for arm in arms}
    return (set(cells) - {(middle, middle)} - set(sum(arms, []))) | doors


def free_cells(planes):
    """Cells that are free in the last of the planes uint8[P, H, W]."""
    return {(int(y), int(x)) for y, x in np.argwhere(planes[-1] == 0)}


class MazeModel:
    """An agent among walls; subclasses place things in `__init__` and say what happens at a cell in `arrive`."""

    def step(self, action, draws):
        target = neighbours(self.agent)[action]
        self.agent = target if target in self.free else self.agent
        return self.arrive()

    def arrive(self):
        return (1.0, 0, True) if self.agent == self.goal else (0.0, -1, False)

    def things(self):
        return [self.agent, self.goal]

    def observation(self):
        things = self.things()
        planes = np.zeros((len(things) + 1, self.size + 2, self.size + 2), np.uint8)
        for plane, cell in enumerate(things):
            planes[(plane, *cell)] = 1
        planes[-1] = walls_of(self.size)
        for cell in interior(self.size):
            planes[(-1, *cell)] = cell not in self.free
        return planes, np.zeros(0, np.float32)
