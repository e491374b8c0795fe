"""Finds, among the rows of a world, those that differ in nothing but the context.

Shapes: N rows, S row cells, M situations, C contexts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.rows import World

Ints = NDArray[np.int64]


def context_cells(rows: NDArray[np.int16], contexts: Ints) -> Ints:
    """Row cells whose value is the context under another name.

    Cell j qualifies iff rows[:, j] and the contexts determine each other over all N rows. Several qualify where the
    levels tie something else to the context, as training levels of a crossed history do; mixed levels untie them.

    Args:
        rows: int16[N, S].
        contexts: int64[N].

    Returns:
        int64[number found], ascending.
    """
    num_contexts = len(np.unique(contexts))
    found = []
    for cell in range(rows.shape[1]):
        values = rows[:, cell].astype(np.int64)
        pairs = len(np.unique(np.stack([values, contexts]), axis=1).T)
        if pairs == num_contexts == len(np.unique(values)):
            found.append(cell)
    return np.asarray(found, dtype=np.int64)


def match_contexts(rows: NDArray[np.int16], contexts: Ints, *, cells: Ints) -> tuple[Ints, Ints]:
    """Groups rows that agree everywhere except in the context's cells.

    Args:
        rows: int16[N, S], distinct.
        contexts: int64[N]; rows with a negative context (hidden or none) are left out.
        cells: int64, the cells that hold the context.

    Returns:
        table int64[M, C], the row of each situation under each context, only of situations that have all; and
        contexts int64[C], ascending.

    Raises:
        UserError: Fewer than two contexts, or no situation that occurs under all of them.
    """
    known = np.flatnonzero(contexts >= 0)
    names, context = np.unique(contexts[known], return_inverse=True)
    if len(names) < 2:
        raise UserError(f"the rows hold {len(names)} context(s); a minimal pair needs two, so enumerate other starts")
    masked = rows[known].copy()
    masked[:, cells] = 0
    _, situation = np.unique(masked, axis=0, return_inverse=True)
    situation = situation.reshape(-1)
    table = np.full((situation.max() + 1, len(names)), -1, dtype=np.int64)
    table[situation, context] = known
    complete = table[(table >= 0).all(axis=1)]
    if not len(complete):
        raise UserError(
            f"none of {len(table)} situations occurs under all {len(names)} contexts, so no rows differ in the context "
            "alone; enumerate levels in which the context is free of the layout"
        )
    return complete, names


def world_with_pairs(world: World) -> World:
    """The world in which every situation occurs under every context, for a world that ties them in training.

    A config names that layout in its `layout_with_pairs`. Worlds whose config names none, and those that are in another
    layout than "train" already, are returned as they are.
    """
    layout: str | None = getattr(world.config, "layout_with_pairs", None)
    return world if layout is None or world.config.layout != "train" else world.in_layout(layout)
