"""One watched agent of the study of monitors, put together from the records of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.monitors.zoo import Label
from analysis.studies.watching_cells import WATCH, label_of
from analysis.studies.weak_agents import WEAK_AGENT, run_seed
from analysis.study import CellRecord


@dataclass(frozen=True)
class Watched:
    """One agent.

    Attributes:
        seed: Its run seed.
        label: What it does, and how it was trained.
        scores: Monitor -> trait -> score, once V has learned.
        checkpoints: Rows of `weak_agents.grow`: the main monitor's score and the agent's index while V learns.
        erasures: What is erased, of `erasing.TARGETS` -> index "intact", "erased" and "random" of the trait that it may
            stop; of the traits that the agent shows.
    """

    seed: int
    label: Label
    scores: Mapping[str, Mapping[str, float]]
    checkpoints: Sequence[Mapping[str, Any]]
    erasures: Mapping[str, Mapping[str, float]]

    def has(self, trait: str) -> bool:
        """Whether it shows the trait at κ = 1."""
        return self.label.shows[trait]


def watched(records: Sequence[CellRecord]) -> list[Watched]:
    """The agents that were watched, in the order of their seeds."""
    grown = {record.config["seed"]: record for record in records if record.function == WEAK_AGENT}
    seen = sorted((record for record in records if record.function == WATCH), key=lambda one: one.config["seed"])
    return [_agent(record, grown[record.config["seed"]]) for record in seen if record.config["seed"] in grown]


def _agent(record: CellRecord, grown: CellRecord) -> Watched:
    return Watched(
        seed=run_seed(record.config["seed"]), label=label_of(record, grown),
        scores={row["monitor"]: row["scores"] for row in record.rows if row["kind"] == "scores"},
        checkpoints=grown.rows, erasures={row["of"]: row for row in record.rows if row["kind"] == "erasure"},
    )  # fmt: skip
