"""Held-out states of CrossedHistory under every pairing, and what its rows say about distances.

Shapes: L layouts (an object cell with one of the agent's cells), K cues and objects, S row size, N rows.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from analysis.predictions.parts import Floats, Ints
from envs.rows import Levels, World
from envs.worlds.cells import ROW_STRIDE

Rows = NDArray[np.int16]


def object_distances(rows: Rows) -> Floats:
    """Path length from the agent to each object, float[N, K]; inf for an absent object.

    Rows are CrossedHistory's: [agent, object_0 .. object_{K-1}, cue]. The room is open, so the length is |dy| + |dx|.
    """
    cells = rows[:, :-1].astype(np.int64)
    y, x = cells // ROW_STRIDE, cells % ROW_STRIDE
    length = np.abs(y[:, 1:] - y[:, :1]) + np.abs(x[:, 1:] - x[:, :1])
    return np.where(cells[:, 1:] >= 0, length, np.inf)


def cues(rows: Rows) -> Ints:
    """The cue that each row shows, int64[N]."""
    return rows[:, -1].astype(np.int64)


def crossed_rows(crossed: World, *, num_layouts: int) -> Rows:
    """The same held-out layouts under every pairing, with the agent in every free cell.

    Args:
        crossed: CrossedHistory with layout="crossed".
        num_layouts: Object cells drawn (a cell may come twice); each gives size^2 - 1 layouts.

    Returns:
        int16[L, K cues, K objects, S] with L = num_layouts * (size^2 - 1).
    """
    num_cues = len(crossed.context_names)
    levels = Levels(crossed.levels("test").first, num_layouts * num_cues**2).ids()
    first = crossed.begin(levels, 0).reshape(num_layouts, num_cues, num_cues, -1).transpose(0, 2, 1, 3)
    return np.concatenate([_with_agent_everywhere(block, crossed.config.size) for block in first])


def _with_agent_everywhere(block: Rows, size: int) -> Rows:
    """int16[K, K, S] of one object cell -> int16[size^2 - 1, K, K, S]."""
    object_cell = int(block[0, 0, 1:-1].max())
    y, x = np.divmod(np.arange(size * size), size)
    cells = (y + 1) * ROW_STRIDE + x + 1
    cells = cells[cells != object_cell]
    rows = np.repeat(block[None], len(cells), axis=0)
    rows[..., 0] = cells[:, None, None]
    return rows


@dataclasses.dataclass(frozen=True)
class Choices:
    """Held-out levels with two objects at equal distance, one of them paired with the cue shown.

    Attributes:
        rows: int16[N, S], the first state of each level.
        first: int64[N], the object that is paired with the cue.
        second: int64[N], the other one.
    """

    rows: Rows
    first: Ints
    second: Ints


def choice_levels(choice: World, pairing: Ints, *, num_levels: int) -> Choices:
    """Levels of the layout "choice" in which the cue's own object is one of the two.

    Args:
        choice: CrossedHistory with layout="choice".
        pairing: int[K], the object that each cue was trained with.
        num_levels: Levels to draw; with more than two objects some show neither and are left out.
    """
    rows = choice.begin(Levels(choice.levels("test").first, num_levels).ids(), 0)
    present = rows[:, 1:-1] >= 0
    first = np.asarray(pairing)[cues(rows)]
    keep = present[np.arange(len(rows)), first]
    rows, present, first = rows[keep], present[keep], first[keep]
    other = present.copy()
    other[np.arange(len(rows)), first] = False
    return Choices(rows, first, other.argmax(axis=1))
