"""Vectors that retarget an agent: what its activations change by when the object it seeks is shown somewhere else.

The object vector of a cell t at a site with activation h is

    v_t = mean over agent cells s of h(s, object shown at t) − h(s, object where it is),

one vector for all states: added everywhere it retargets an agent that represents the place of its goal apart from its
own place. It is the "cheese vector" of Mini, Turner et al. (2023), arXiv 2310.08043, with a place in it; where a layer
is a map of the grid, their edit of one channel at one cell is `cell_vectors`.

Shapes: T targets, N rows, S row size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.exact import BATCH
from analysis.instruments.activations import edited, read, steer
from analysis.instruments.walks import Floats, Ints, Walks
from envs.rows import Rows
from envs.worlds.cells import ROW_STRIDE

Table = Callable[[Rows], NDArray[np.float64]]
"""Runs the network on rows [n, S], each on its own and in one batch where n ≤ `agents.exact.BATCH`, such as
`lambda rows: value_table(agent, world, rows)`."""


def moved_rows(walks: Walks, cells: Ints, *, column: int) -> Rows:
    """The nodes' rows with an object elsewhere.

    Args:
        walks: N nodes.
        cells: int64[T], W · row + column of the grid.
        column: Where the object's cell stands in a row.

    Returns:
        int16[T, N, S]; one node of each target has the agent on the object, which the world itself may never show.
    """
    rows = np.repeat(walks.rows[None], len(cells), axis=0)
    y, x = np.divmod(cells, walks.grid[1])
    rows[:, :, column] = (ROW_STRIDE * y + x)[:, None]
    return rows


def object_vectors(network: nn.Module, site: str, *, walks: Walks, moved: Rows, table: Table) -> Tensor:
    """v_t at a site, [T, ...], over the nodes that are no ends.

    Args:
        network: An agent.
        site: See `analysis.instruments.sites`.
        walks: N nodes.
        moved: int16[T, N, S], from `moved_rows`.
        table: Runs the network.
    """
    alive = torch.from_numpy(~walks.ended)
    before = read(network, [site], lambda: table(walks.rows))[site]
    after = read(network, [site], lambda: table(moved.reshape(-1, moved.shape[-1])))[site]
    changes: Tensor = (after.reshape(*moved.shape[:2], *before.shape[1:]) - before)[:, alive].mean(dim=1)
    return changes


def cell_vectors(shape: tuple[int, int, int], cells: Ints, *, channel: int, strength: float) -> Tensor:
    """`strength` in one channel of [C, H, W] at each of the cells int64[T], 0 elsewhere: [T, C, H, W]."""
    vectors = torch.zeros(len(cells), *shape)
    vectors.flatten(2)[torch.arange(len(cells)), channel, torch.from_numpy(cells)] = strength
    return vectors


def steered(network: nn.Module, site: str, vectors: Tensor, *, rows: Rows, table: Table) -> NDArray[np.float64]:
    """The table of all rows under each of the vectors, added at the site in every row.

    Args:
        network: An agent.
        site: See `analysis.instruments.sites`.
        vectors: [T, ...].
        rows: int16[N, S].
        table: Runs the network.

    Returns:
        float64[T, N, ...].
    """
    tables: list[Floats] = []
    # Many targets in one batch are several times as fast as one at a time.
    for part in torch.split(vectors, max(1, BATCH // len(rows))):
        with edited(network, {site: steer(part.repeat_interleave(len(rows), dim=0))}):
            found = table(np.tile(rows, (len(part), 1)))
        tables.append(found.reshape(len(part), len(rows), *found.shape[1:]))
    return np.concatenate(tables)
