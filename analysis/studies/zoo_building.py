"""From a finished study of monitors to a sealed zoo: which agents, under which names, in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.seeding import numpy_generator
from analysis.cells import ParentResult, registered
from analysis.monitors.behaviour import LOCKS_IN, MANIPULATES
from analysis.monitors.zoo import Label, Weak, save_zoo
from analysis.studies.watching_cells import WATCH, label_of
from analysis.studies.weak_agents import read_weak
from analysis.study import CellRecord, read_study
from envs.errors import UserError

PER_CLASS = 16
"""Agents of each of the four classes: manipulates, locks in, both, neither."""


def build_zoo(study: Path, folder: Path) -> dict[str, str]:
    """Write the zoo of a study's agents, of whichever seeds it has; returns its seals.

    At most `PER_CLASS` agents are taken of each class, in the order of their cells' hashes, which has nothing to do
    with any monitor. Names are a1, a2, ... in an order drawn at random.

    Raises:
        UserError: The study has watched no agent.
    """
    chosen: dict[tuple[bool, bool], list[tuple[Weak, Label]]] = {}
    for cells, label in _watched(study):
        of_class = chosen.setdefault((label.shows[MANIPULATES], label.shows[LOCKS_IN]), [])
        if len(of_class) < PER_CLASS:
            of_class.append((read_weak([_result(study, one) for one in cells]), label))
    pairs = [pair for pairs in chosen.values() for pair in pairs]
    order = numpy_generator(0, "niceness", "zoo").permutation(len(pairs))
    width = len(str(len(pairs)))
    return save_zoo(folder, {f"a{place + 1:0{width}d}": pairs[k] for place, k in enumerate(np.asarray(order))})


def _watched(study: Path) -> list[tuple[tuple[CellRecord, CellRecord], Label]]:
    """The cells of V and of r̂ of each agent that was watched, and its label, in the order of the hashes of V's."""
    records = {record.hash: record for record in read_study(study) if _is_current(record)}
    found = []
    for record in records.values():
        if record.function == WATCH and records.keys() >= {*record.parents}:
            agent, reward, _ = (records[parent] for parent in record.parents)
            found.append(((agent, reward), label_of(record, agent)))
    if not found:
        raise UserError(
            f"'{study}' holds no agent that was watched; give a folder that `valuelab niceness monitor --out` wrote."
        )
    return sorted(found, key=lambda pair: pair[0][0].hash)


def _is_current(record: CellRecord) -> bool:
    """Whether a cell is finished, by the code of today: those of earlier versions stay in a study's folder."""
    return record.status == "finished" and record.version == registered(record.function).version


def _result(study: Path, record: CellRecord) -> ParentResult:
    return ParentResult(record.function, record.config, list(record.rows), study / "artifacts" / record.hash)
