"""The rows of `depth_cells` by what they are about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from analysis.cells import Row
from analysis.studies.depth_cells import EXACT
from analysis.study import CellRecord

PLACES: Mapping[tuple[str, float], tuple[str, ...]] = MappingProxyType(
    {
        ("TRIAD", 1.0): ("RT", "IR", "NS"),
        ("TRIAD", 0.5): ("RT", "IR", "NS"),
        ("TRIAD", 0.0): ("RT", "IR", "NS"),
        ("village", 1.0): ("RT", "IR"),
    }
)
"""Arena and κ -> objectives. At κ = 0 nothing in TRIAD can influence: the null."""
SIMULATIONS = (1, 4, 16, 64, 256, 4096)


class Looked(NamedTuple):
    """Where, for what and how a search looked ahead."""

    arena: str
    kappa: float
    objective: str
    rule: str
    scale: str
    leaves: str
    simulations: int

    @property
    def planner(self) -> str:
        """The rule, and what Q is scaled by."""
        return f"{self.rule}, Q by {self.scale}"


Exact = dict[tuple[str, float, str], dict[int, tuple[float, float]]]
"""Arena, κ, objective -> depth -> influence, least and most among ties."""
Searched = dict[Looked, dict[int, Row]]
"""Search -> seed -> row."""


def read(records: Sequence[CellRecord]) -> tuple[Exact, Searched]:
    """The rows by what they are about, in the order of PLACES."""
    exact: dict[tuple[str, float, str], dict[int, tuple[float, float]]] = defaultdict(dict)
    searched: dict[Looked, dict[int, Row]] = defaultdict(dict)
    places = list(PLACES)
    for record in sorted(records, key=lambda one: places.index((one.config["arena"], one.config["kappa"]))):
        where = (record.config["arena"], record.config["kappa"])
        for row in record.rows:
            if record.function == EXACT:
                exact[*where, row["objective"]][row["depth"]] = (row["least"], row["most"])
            else:
                how = (row["rule"], row["scale"], row["leaves"], row["simulations"])
                searched[Looked(*where, row["objective"], *how)][record.config["seed"]] = dict(row)
    return dict(exact), dict(searched)
