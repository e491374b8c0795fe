"""The cell of T7: object vectors at V's features and first layer, their doses, and two planted V.

Shapes: T targets, N nodes of a level, S row size, D units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.exact import value_table
from agents.seeding import derive_seed
from analysis.cells import CellContext, Row, cell_function
from analysis.instruments.activations import random_like
from analysis.instruments.retargeting import Table, moved_rows, object_vectors, steered
from analysis.instruments.walks import Floats, Ints, Walks, walks_from
from analysis.predictions.retargeting import (
    FEW_UNITS,
    MIN_DISTANCE,
    SHARES,
    STRENGTHS,
    path_to_targets,
    score_of,
    target_cells,
)
from analysis.studies.yoked import fitted_agent, world_of_run
from envs.rows import Rows, World
from envs.worlds.cells import ROW_STRIDE

RETARGET = "comparison.retargeting"
PLANTS = ("SLOT", "LOOKUP")
Dose = tuple[float, float]
WHOLE: Dose = (1.0, 1.0)
DOSES: tuple[Dose, ...] = (*((strength, 1.0) for strength in STRENGTHS), *((1.0, share) for share in SHARES))
"""Strength and share of units: the whole vector at several strengths, and few units at strength 1."""
NUM_LEVELS = 8
SITES = {"": "value_head.features", "first layer ": "value_encoder.0"}
"""Prefix of a reading -> its site; the score is read at the first."""


class PlantedValue(nn.Module):
    """V = Σ_{a,o} γ^(|a − o| − 1) · (the code's weight on the pair), a the agent's cell and o the needed object's.

    "SLOT" holds a and o as two one-hot vectors, whose product is read; "LOOKUP" has a unit for every pair.
    """

    def __init__(self, name: str, world: World) -> None:
        """Take a name of `PLANTS` and MultiNeed."""
        super().__init__()
        self.name, self.size = name, world.config.size
        self.code = nn.Identity()
        y, x = np.divmod(np.arange(self.size**2), self.size)
        length = np.abs(y[:, None] - y) + np.abs(x[:, None] - x)
        self.nearness = torch.from_numpy(world.discount ** (length - 1.0)).float()

    def forward(self, rows: Rows) -> Tensor:
        """V of rows of MultiNeed, float32[N]."""
        agent, place = self._one_hot(rows[:, 0].astype(np.int64)), self._one_hot(needed_cells(rows))
        if self.name == "SLOT":
            agent, place = self.code(torch.stack((agent, place), dim=1)).unbind(dim=1)
            pairs = agent[:, :, None] * place[:, None, :]
        else:
            pairs = self.code(agent[:, :, None] * place[:, None, :])
        value: Tensor = (pairs * self.nearness).sum(dim=(1, 2))
        return value

    def _one_hot(self, cells: Ints) -> Tensor:
        rank = (cells // ROW_STRIDE - 1) * self.size + cells % ROW_STRIDE - 1
        return functional.one_hot(torch.from_numpy(rank), self.size**2).float()


PLANTS = ("SLOT", "LOOKUP")



def needed_cells(rows: Rows) -> Ints:
    """The packed cell of the needed object in rows of MultiNeed, int64[N]."""
    return np.asarray(rows[np.arange(len(rows)), 1 + rows[:, -2]], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Level:
    """One level under one need.

    Attributes:
        walks: N nodes.
        targets: int64[T], cells.
        moved: int16[T, N, S], the nodes with the object shown at each target.
        there: T walks in a world whose object is at the target.
    """

    walks: Walks
    targets: Ints
    moved: Rows
    there: Sequence[Walks]


def levels_of(world: World) -> Iterator[Level]:
    """Held-out levels, needs in turn; none that starts beside the needed object, which no edit of V outbids there."""
    first, chosen = world.levels("test").first, 0
    while chosen < NUM_LEVELS:
        walks = walks_from(world, world.begin([first], [chosen % world.num_starts])[0])
        start, first = walks.rows[0], first + 1
        if walks.distance[walks.ended].min() < MIN_DISTANCE:
            continue
        chosen += 1
        y, x = np.divmod(start[1:-2].astype(np.int64), ROW_STRIDE)
        targets = target_cells(walks, y * walks.grid[1] + x)
        moved = moved_rows(walks, targets, column=1 + int(start[-2]))
        yield Level(walks, targets, moved, [walks_from(world, rows[0]) for rows in moved])


def retarget(
    network: nn.Module, table: Table, levels: Sequence[Level], *, site: str, seed: int, doses: Sequence[Dose] = DOSES
) -> list[Row]:
    """Rows of kind "dose": P of all targets under each dose of the object vectors at a site, and of random ones.

    Args:
        network: An agent, or a planted V.
        table: V of rows.
        levels: What to walk on.
        site: Where vectors are added.
        seed: Of the random vectors.
        doses: Pairs (strength, share of units).
    """
    found: dict[Dose, list[Floats]] = {dose: [] for dose in doses}
    for number, level in enumerate(levels):
        vectors = object_vectors(network, site, walks=level.walks, moved=level.moved, table=table)
        for strength, share in doses:
            kept = strength * largest(vectors, share)
            unlike = random_like(kept.flatten(1), seed=derive_seed(seed, "retargeting", number)).view_as(kept)
            reached = [
                path_to_targets(
                    level.walks, steered(network, site, each, rows=level.walks.rows, table=table), level.targets
                )
                for each in (kept, unlike)
            ]
            found[strength, share].append(np.stack(reached))
    means = {dose: np.concatenate(reached, axis=1).mean(axis=1) for dose, reached in found.items()}
    return [
        {"kind": "dose", "site": site, "strength": strength, "share": share, "edited": float(edited),
         "random": float(unlike)}
        for (strength, share), (edited, unlike) in means.items()
    ]  # fmt: skip


def largest(vectors: Tensor, share: float) -> Tensor:
    """Vectors [T, ...] with their largest entries by magnitude, a share of all, and 0 elsewhere."""
    flat = vectors.flatten(1)
    kept = flat.abs().topk(max(1, round(share * flat.shape[1])), dim=1).indices
    return torch.zeros_like(flat).scatter(1, kept, flat.gather(1, kept)).view_as(vectors)


def bounds(table: Table, levels: Sequence[Level]) -> dict[str, float]:
    """P of all targets under V as it is ("unedited"), and where V is "shown" the object at the target.

    "moved" stands beside them: the object itself is at the target, where it pays.
    """
    found: dict[str, list[Floats]] = {"unedited": [], "shown": [], "moved": []}
    for level in levels:
        walks, moved = level.walks, level.moved
        shown = table(moved.reshape(-1, moved.shape[-1])).reshape(moved.shape[:2])
        found["unedited"].append(path_to_targets(walks, table(walks.rows), level.targets))
        found["shown"].append(path_to_targets(walks, shown, level.targets))
        found["moved"] += [
            path_to_targets(each, table(each.rows), target[None])
            for each, target in zip(level.there, level.targets, strict=True)
        ]
    return {name: float(np.concatenate(reached).mean()) for name, reached in found.items()}


@cell_function(RETARGET, version=1, seconds=2.0)
def retarget_cell(context: CellContext) -> list[Row]:
    """T7 of one fitted V, or of a planted one."""
    config, world = context.config, world_of_run(context.config)
    network, table, sites = _subject(context, world)
    levels = list(levels_of(world))
    ends = bounds(table, levels)
    score: Row = {"kind": "score", "score": None, **ends}
    rows: list[Row] = []
    for prefix, site in sites.items():
        doses = (WHOLE,) if isinstance(network, PlantedValue) else DOSES
        for row in retarget(network, table, levels, site=site, seed=config["seed"], doses=doses):
            row |= {"score": score_of(edited=row["edited"], random=row["random"], shown=ends["shown"])}
            if (row["strength"], row["share"]) == WHOLE:
                score |= {f"{prefix}{name}": row[name] for name in ("score", "edited", "random")}
            if row["share"] == FEW_UNITS:
                score[f"{prefix}few units"] = row["score"]
            rows.append(row)
    return [score, *rows]


def _subject(context: CellContext, world: World) -> tuple[nn.Module, Table, Mapping[str, str]]:
    name = context.config["arm"]
    if name in PLANTS:
        planted = PlantedValue(name, world)
        return planted, lambda rows: planted(rows).double().numpy(), {"": "code"}
    agent = fitted_agent(context)
    return agent, lambda rows: value_table(agent, world, rows), SITES
