"""In which order cells run: as soon as the parents are finished, and the longest way to the end first.

The priority of a cell is its expected duration plus that of the longest chain of cells that wait for it (the critical
path rule), which among cells without dependants is longest-first; ties keep the order given. So both a long chain and
a long single cell start early, and the workers end together.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from analysis.cells import Cell
from envs.errors import UserError


@dataclass(frozen=True)
class Plan:
    """Cells in topological order with what the schedule needs to know, all keyed by hash."""

    cells: dict[str, Cell]
    children: dict[str, tuple[str, ...]]
    priority: dict[str, float]


def make_plan(cells: Sequence[Cell], *, elsewhere: Collection[str] = ()) -> Plan:
    """Order the cells, drop duplicates, and compute priorities.

    Args:
        cells: the study's cells, in any order.
        elsewhere: hashes of finished cells that may be parents without being in ``cells``.

    Raises:
        UserError: no cells, or a parent that is neither among the cells nor finished.
    """
    known = {cell.hash: cell for cell in cells}
    if not known:
        raise UserError("The study has no cells; give at least one.")
    for cell in known.values():
        missing = [parent for parent in cell.parent_hashes if parent not in known and parent not in elsewhere]
        if missing:
            raise UserError(
                f"Cell {cell} has the parent {missing[0][:10]}, which is neither given nor finished; add it."
            )
    ordered = _topological(known)
    children = _children(ordered.values())
    priority: dict[str, float] = {}
    for cell in reversed(ordered.values()):
        priority[cell.hash] = cell.seconds + max((priority[child] for child in children[cell.hash]), default=0.0)
    return Plan(ordered, children, priority)


class Schedule:
    """What is ready, waiting and running; cells enter when their last parent is finished.

    Args:
        plan: from `make_plan`.
        finished: hashes of cells that need not run.
    """

    def __init__(self, plan: Plan, *, finished: Collection[str] = ()) -> None:
        self._plan = plan
        self._pending = {name for name in plan.cells if name not in finished}
        self._position = {name: index for index, name in enumerate(plan.cells)}
        self._waiting = {
            name: {parent for parent in plan.cells[name].parent_hashes if parent in self._pending}
            for name in self._pending
        }
        self._ready = [self._entry(name) for name in self._pending if not self._waiting[name]]
        heapq.heapify(self._ready)

    @property
    def pending(self) -> frozenset[str]:
        """Cells that have neither finished nor been given up, running ones included."""
        return frozenset(self._pending)

    def next(self) -> Cell | None:
        """Take the ready cell with the highest priority; None where none is ready now."""
        while self._ready:
            name = heapq.heappop(self._ready)[2]
            if name in self._pending:
                return self._plan.cells[name]
        return None

    def finish(self, cell_hash: str) -> None:
        """Note that a cell is finished, which may make its children ready."""
        self._pending.discard(cell_hash)
        for child in self._plan.children[cell_hash]:
            waiting = self._waiting.get(child, set())
            if cell_hash in waiting:
                waiting.discard(cell_hash)
                if not waiting and child in self._pending:
                    heapq.heappush(self._ready, self._entry(child))

    def fail(self, cell_hash: str) -> list[Cell]:
        """Note that a cell failed; return the pending cells that depend on it, in order, which will not run."""
        self._pending.discard(cell_hash)
        lost, stack = set(), [cell_hash]
        while stack:
            new = [child for child in self._plan.children[stack.pop()] if child in self._pending and child not in lost]
            lost.update(new)
            stack += new
        self._pending -= lost
        return [self._plan.cells[name] for name in sorted(lost, key=self._position.__getitem__)]

    def _entry(self, name: str) -> tuple[float, int, str]:
        return -self._plan.priority[name], self._position[name], name


class RemainingTime:
    """Expected seconds to the end, from measured durations by function and, before there are any, from the hints.

    A function that has not been measured is expected at its hint times the ratio of measured to hinted time so far.
    """

    def __init__(self) -> None:
        self._measured: dict[str, tuple[float, float]] = {}

    def add(self, cell: Cell, seconds: float) -> None:
        """Note a measured duration."""
        measured, hinted = self._measured.get(cell.function, (0.0, 0.0))
        self._measured[cell.function] = measured + seconds, hinted + cell.seconds

    def estimate(self, cells: Iterable[Cell], *, num_workers: int) -> float | None:
        """Expected seconds for ``cells`` on ``num_workers``; None before the first measurement."""
        if not self._measured:
            return None
        measured, hinted = (sum(part) for part in zip(*self._measured.values(), strict=True))
        general = (measured, hinted)
        expected = (cell.seconds * _ratio(self._measured.get(cell.function, general)) for cell in cells)
        return sum(expected) / num_workers


def _ratio(measured_and_hinted: tuple[float, float]) -> float:
    measured, hinted = measured_and_hinted
    return measured / hinted if hinted > 0 else 1.0


def _children(cells: Iterable[Cell]) -> dict[str, tuple[str, ...]]:
    children: dict[str, list[str]] = {}
    for cell in cells:
        children.setdefault(cell.hash, [])
        for parent in dict.fromkeys(cell.parent_hashes):
            children.setdefault(parent, []).append(cell.hash)
    return {name: tuple(found) for name, found in children.items()}


def _topological(cells: dict[str, Cell]) -> dict[str, Cell]:
    """Parents before children; hashes cover the parents' hashes, so there are no cycles."""
    ordered: dict[str, Cell] = {}
    stack = [(cell, False) for cell in reversed(cells.values())]
    while stack:
        cell, expanded = stack.pop()
        if cell.hash in ordered:
            continue
        if expanded:
            ordered[cell.hash] = cell
            continue
        stack.append((cell, True))
        stack += [(cells[parent], False) for parent in reversed(cell.parent_hashes) if parent in cells]
    return ordered
