"""Pictures of T3: the ablation matrix of every arm, and where on a held-out level each part of V speaks.

The cell leaves the numbers of both as rows, its parts numbered by the context that they are matched with:

    {"kind": "damage", "part": p, "shares": D[p, :]}
    {"kind": "map", "part": p, "context": c, "contributions": by cell, None where the agent never stands,
     "grid": [H, W], "objects": [row, column] of each object by its name}

Shapes: N states, P parts, C contexts, H rows and W columns of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.cells import Row
from analysis.instruments.walks import agent_cells, object_cells
from analysis.predictions.ablation import damage_shares, matched_parts
from analysis.predictions.parts import Floats, Ints, find_parts, part_contributions
from analysis.studies.held_out_units import held_out_table
from envs.rows import Rows, World

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture_rows(
    contributions: Floats, contexts: Ints, *, seed: int, world: World, units_of: Callable[[Rows], Floats]
) -> list[Row]:
    """Ablation matrix and maps of one V.

    Args:
        contributions: Of its units, float[N, U].
        contexts: int[N].
        seed: Of the clusters, as in the score.
        world: With an agent on a grid, and objects in planes of their own.
        units_of: Rows int16[n, S] -> contributions float[n, U].
    """
    num_contexts = int(contexts.max()) + 1
    parts = find_parts(contributions, num_contexts, seed=seed)
    shares = damage_shares(part_contributions(contributions, parts, num_contexts), contexts, num_contexts)
    order = matched_parts(shares)
    level = held_out_table(world, num_levels=1).rows
    by_part = part_contributions(units_of(level), parts, num_contexts)[:, order]
    matrix = [{"kind": "damage", "part": p, "shares": shares[order[p]].tolist()} for p in range(num_contexts)]
    return [*matrix, *_map_rows(by_part, level, world)]


def _map_rows(by_part: Floats, level: Rows, world: World) -> list[Row]:
    """A row for each part and context; `by_part` float[n, P] in the states `level` int16[n, S]."""
    cells, contexts = agent_cells(world, level), world.context_of(level)
    height, width = world.grid
    objects = {name: list(cell) for name, cell in object_cells(world, level[0]).items()}
    rows: list[Row] = []
    for part in range(by_part.shape[1]):
        for context in np.unique(contexts):
            inside = contexts == context
            drawn: list[float | None] = [None] * (height * width)
            for cell, value in zip(cells[inside], by_part[inside, part], strict=True):
                drawn[cell] = float(value)
            rows.append({
                "kind": "map", "part": part, "context": int(context), "contributions": drawn,
                "grid": [height, width], "objects": objects,
            })  # fmt: skip
    return rows


def draw(rows: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """T3's matrices (means over seeds) in one figure, and a figure of maps (first seed) for each line."""
    from analysis.plots.part_maps import share_matrices

    drawn = {line: every for line, every in rows.items() if any(r["kind"] == "damage" for r in every)}
    if not drawn:
        return {}
    matrices = share_matrices(
        {line: mean_matrix(every) for line, every in drawn.items()},
        columns="context",
        label="share of the part's damage",
        title="T3: what is damaged where a part of V is removed",
        subtitle="parts found without labels, each numbered by the context that it is matched with; means over seeds\n"
        "(the matching alone lifts the diagonal: compare with NEG-F)",
    )
    return {"T3-matrices.png": matrices} | {f"T3-maps-{line}.png": maps_figure(line, r) for line, r in drawn.items()}


def mean_matrix(rows: Sequence[Row]) -> Floats:
    """D[p, c] of matched parts, mean over seeds."""
    damage = [row for row in rows if row["kind"] == "damage"]
    parts = sorted({row["part"] for row in damage})
    return np.array([np.mean([row["shares"] for row in damage if row["part"] == p], axis=0) for p in parts])


def maps_figure(line: str, rows: Sequence[Row]) -> Figure:
    """Maps of the first seed of one line."""
    from analysis.plots.part_maps import part_maps

    first = min(row["seed"] for row in rows)
    maps = [row for row in rows if row["kind"] == "map" and row["seed"] == first]
    height, width = maps[0]["grid"]
    contexts = sorted({row["context"] for row in maps})
    by_place = {(row["part"], row["context"]): np.array(row["contributions"], dtype=np.float64) for row in maps}
    parts = sorted({part for part, _ in by_place})
    values = np.array([[by_place[part, c].reshape(height, width) for c in contexts] for part in parts])
    names = [f"context {context}" for context in contexts]
    objects = {name: (row, column) for name, (row, column) in maps[0]["objects"].items()}
    return part_maps(
        values, names, objects=objects, title=f"{line}, seed {first}: what each part of V adds",
        subtitle="by the agent's cell in one held-out level, objects by number;\nparts found without labels, numbered "
        "by the context whose loss they\nare matched with; a diagonal is a part for each context",
    )  # fmt: skip
