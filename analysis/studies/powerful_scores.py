"""Plays of the powerful village by where they belong, and what is read off them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.statistics import column, paired_differences
from analysis.studies.powerful_play import PLAY, PLAY_UNTRAINED
from analysis.study import CellRecord

Scores = dict[int, dict[str, float | str]]
"""Seed -> row of a play."""


@dataclass(frozen=True)
class Played:
    """Where a play belongs."""

    variant: str
    arm: str
    power: str
    kappa: float
    planner: str
    simulations: int


def plays(records: Sequence[CellRecord]) -> dict[Played, Scores]:
    """All finished plays, by where they belong and seed."""
    found: dict[Played, Scores] = {}
    for record in records:
        if record.function not in (PLAY, PLAY_UNTRAINED):
            continue
        for row in record.rows:
            named = {name: row[name] for name in ("power", "kappa", "planner", "simulations")}
            place = Played(record.config["variant"], record.config["arm"], **named)
            found.setdefault(place, {})[record.config["seed"]] = row
    return {place: dict(sorted(scores.items())) for place, scores in found.items()}


def lean(scores: Scores) -> dict[int, float]:
    """Regret under IR − regret under RT: positive where the agent is more like present pseudo-niceness."""
    return paired_differences(column(scores, "regret IR"), column(scores, "regret RT"))
