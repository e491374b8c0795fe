"""The cells of one world in a comparison: a recording per seed, the fits of every line to it, and the tests on them.

Equal cells are computed once, whoever asks for them, so every test asks for what it needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.arms import ARMS, Line
from analysis.cells import Cell
from analysis.studies import fitting
from analysis.studies.exact_values import EXACT
from analysis.studies.line_test import LineTest, Parent
from analysis.studies.yoked import Setup, recorder_of

PLANTED = "-"
"""The E regime of a planted agent, which has none."""


@dataclass(frozen=True)
class Bench:
    """Cells of one world.

    Attributes:
        world: Its label.
        setup: Sizes.
        seeds: Run seeds.
        experience: "yoked" (all arms learn from one recording) or "own" (each from what it does itself).
        device: "cpu" or "cuda"; part of a cell only where it is not the CPU.
    """

    world: str
    setup: Setup
    seeds: tuple[int, ...]
    experience: str = "yoked"
    device: str = "cpu"

    @cached_property
    def _setup(self) -> dict[str, Any]:
        return dataclasses.asdict(self.setup)

    def base(self, seed: int) -> dict[str, Any]:
        """What every cell of a seed has in its config."""
        placed = {} if self.device == "cpu" else {"device": self.device}
        return {"world": self.world, "seed": seed, "setup": self._setup, **placed}

    def record(self, seed: int) -> Cell:
        """The recording of a seed."""
        return Cell(recorder_of(self.world), self.base(seed))

    def fit(self, line: Line, seed: int, *, replica: int = 0) -> Cell:
        """A line's V; replica 1 has other initial weights."""
        arm, record = ARMS[line.arm], self.record(seed)
        config = self.base(seed) | {"arm": line.arm, "regime": line.encoder, "replica": replica}
        if self.experience == "own":
            return Cell(fitting.FIT, config | {"experience": "own"}, parents=(record,))
        if arm.teacher is not None:
            return Cell(fitting.FIT, config, parents=(record, self.fit(Line(arm.teacher, line.encoder), seed)))
        exact = [Cell(EXACT, self.base(seed), parents=(record,))] if arm.lesson in ("exact", "context mean") else []
        return Cell(fitting.FIT, config, parents=(record, *exact))

    def of_test(self, test: LineTest, lines: Sequence[Line]) -> list[Cell]:
        """The cells that score `lines` and the test's plants, each behind the cells that it reads."""
        cells: list[Cell] = []
        for line in (*lines, *(Line(plant, PLANTED) for plant in test.plants)):
            parents = {seed: self._parents(test, line, seed) for seed in self.seeds}
            whose = {"arm": line.arm, "regime": line.encoder}
            if test.across_seeds:
                config = {"world": self.world, "seeds": list(self.seeds)} | whose
                scoring = [Cell(test.cell, config, parents=[cell for each in parents.values() for cell in each])]
            else:
                scoring = [Cell(test.cell, self.base(seed) | whose, parents=each) for seed, each in parents.items()]
            cells += _with_ancestors(scoring)
        return cells

    def _parents(self, test: LineTest, line: Line, seed: int) -> list[Cell]:
        planted = line.encoder == PLANTED
        kinds = [kind for kind in test.parents if not planted or kind in ("record", "log")]
        return list(dict.fromkeys(self._parent(kind, test, line=line, seed=seed) for kind in kinds))

    def _parent(self, kind: Parent, test: LineTest, *, line: Line, seed: int) -> Cell:
        if kind.startswith("teacher"):
            line = dataclasses.replace(line, arm=ARMS[line.arm].teacher or line.arm)
        if kind not in ("record", "log"):
            return self.fit(line, seed, replica=int(kind.endswith("sister")))
        record = self.record(seed)
        return record if kind == "record" else Cell(str(test.log_cell), self.base(seed), parents=(record,))


def _with_ancestors(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, each behind its parents, theirs, and so on; repeated ones stay."""
    found: list[Cell] = []
    for cell in cells:
        found += [*_with_ancestors([parent for parent in cell.parents if isinstance(parent, Cell)]), cell]
    return found
