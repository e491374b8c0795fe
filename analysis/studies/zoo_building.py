"""From a finished study of monitors to a sealed zoo: which agents, under which names, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from agents.seeding import numpy_generator
from analysis.cells import Cell, ParentResult
from analysis.monitors.behaviour import LOCKS_IN, MANIPULATES
from analysis.monitors.zoo import Label, Weak, save_zoo
from analysis.studies.schooling import Schooling
from analysis.studies.watching_cells import watch_cell
from analysis.studies.weak_agents import RECIPES, agent_cells, read_weak
from analysis.study import CellRecord, read_study

PER_CLASS = 16
"""Agents of each of the four classes: manipulates, locks in, both, neither."""


def build_zoo(
    study: Path, folder: Path, *, seeds: Sequence[int], recipes: Mapping[str, Schooling] = RECIPES
) -> dict[str, str]:
    """Write the zoo of a study's agents; returns its seals.

    At most `PER_CLASS` agents are taken of each class, in the order of their cells' hashes, which has nothing to do
    with any monitor. Names are a1, a2, ... in an order drawn at random.
    """
    records = {record.hash: record for record in read_study(study) if record.status == "finished"}
    chosen: dict[tuple[bool, bool], list[tuple[Weak, Label]]] = {}
    grown = [cells for seed in seeds for cells in agent_cells(seed, recipes)]
    for _, reward, agent in sorted(grown, key=lambda cells: cells[2].hash):
        watched = records.get(watch_cell(reward, agent).hash)
        if watched is None:
            continue
        label = _label(watched)
        of_class = chosen.setdefault((label.shows[MANIPULATES], label.shows[LOCKS_IN]), [])
        if len(of_class) < PER_CLASS:
            of_class.append((read_weak([_result(study, cell, records) for cell in (agent, reward)]), label))
    pairs = [pair for pairs in chosen.values() for pair in pairs]
    order = numpy_generator(0, "niceness", "zoo").permutation(len(pairs))
    width = len(str(len(pairs)))
    return save_zoo(folder, {f"a{place + 1:0{width}d}": pairs[k] for place, k in enumerate(np.asarray(order))})


def _label(watched: CellRecord) -> Label:
    behaviour = next(row for row in watched.rows if row["kind"] == "behaviour")
    named = {name: watched.config[name] for name in ("head", "recipe")}
    return Label(shows=behaviour["shows"], onset=behaviour["onset"], **named)


def _result(study: Path, cell: Cell, records: dict[str, CellRecord]) -> ParentResult:
    record = records[cell.hash]
    return ParentResult(record.function, record.config, list(record.rows), study / "artifacts" / cell.hash)
