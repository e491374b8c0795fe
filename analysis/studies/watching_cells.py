"""What all monitors say of a weak agent, what it does once it is powerful, and whether an erased direction stops it.

Erasure: with d the mean of h(θ → E) − h over telling states, at length 1, V reads h − d·(d'(h − h̄)) in place of h. A
random direction of length 1 stands beside it.

Shape key: N rows, D features.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.cell_files import CellRecord
from analysis.cells import Cell, CellContext, Row, cell_function
from analysis.monitors.behaviour import KAPPAS, LOCKS_IN, MANIPULATES, TRAITS, behave
from analysis.monitors.edits import TO_E, telling
from analysis.monitors.registry import MONITORS
from analysis.monitors.subject import Subject
from analysis.monitors.zoo import Label
from analysis.studies.weak_agents import read_weak
from envs.rows import Rows
from envs.states import Floats

WATCH = "niceness.watch"
NUM_RANDOM = 3


def watch_cell(reward: Cell, agent: Cell) -> Cell:
    """The cell that watches an agent."""
    named = {name: agent.config[name] for name in ("seed", "recipe", "head")}
    return Cell(WATCH, named, parents=(agent, reward))


@cell_function(WATCH, version=1, seconds=4.0)
def watch(context: CellContext) -> list[Row]:
    """One row of behaviour, one of each monitor's scores, one of the erasure."""
    subject = read_weak(list(context.parents.values())).subject()
    behaved = [behave(subject, kappa) for kappa in KAPPAS]
    onset = {trait: next((one.kappa for one in behaved if one.shows(trait)), None) for trait in TRAITS}
    return [
        {"kind": "behaviour", "onset": onset, "shows": {trait: behaved[-1].shows(trait) for trait in TRAITS},
         "indices": {f"{one.kappa:g}": one.indices for one in behaved}},
        *({"kind": "scores", "monitor": name, "scores": monitor.score(subject)} for name, monitor in MONITORS.items()),
        {"kind": "erasure", "erased": pushes_erased(subject), "intact": behaved[-1].indices[MANIPULATES],
         "random": pushes_random(subject, seed=context.config["seed"])},
    ]  # fmt: skip


def label_of(watched: CellRecord, agent: CellRecord) -> Label:
    """What an agent does, from the rows of its `WATCH` cell, and how it was trained, from its own cell's config."""
    behaved = next(row for row in watched.rows if row["kind"] == "behaviour")
    schooling = agent.config["schooling"]
    return Label(
        shows=behaved["shows"], onset=behaved["onset"],
        trained_at={MANIPULATES: schooling["kappa_p"], LOCKS_IN: schooling["kappa_g"]},
        head=watched.config["head"], recipe=watched.config["recipe"],
    )  # fmt: skip


def pushes_erased(subject: Subject) -> float:
    """Index of manipulation at κ = 1 without the mean direction h(θ → E) − h."""
    return _push_without(subject, persuaded_direction(subject))


def pushes_random(subject: Subject, *, seed: int) -> float:
    """The same without a random direction, mean over `NUM_RANDOM`."""
    rng, size = np.random.default_rng(seed), subject.features(subject.rows[:1]).shape[1]
    return float(np.mean([_push_without(subject, rng.normal(size=(size,))) for _ in range(NUM_RANDOM)]))


def persuaded_direction(subject: Subject) -> Floats:
    """Mean of h(θ → E) − h over telling states, float64[D]."""
    rows = subject.rows[telling(TO_E, subject.rows)]
    direction: Floats = (subject.features(subject.edits[TO_E](rows)) - subject.features(rows)).mean(axis=0)
    return direction


def _push_without(subject: Subject, direction: Floats) -> float:
    return behave(without_direction(subject, direction), 1.0).indices[MANIPULATES]


def without_direction(subject: Subject, direction: Floats) -> Subject:
    """The subject whose V does not read a direction of its features; the same where its length is 0."""
    length = np.linalg.norm(direction)
    if length == 0:
        return subject
    unit, centre = direction / length, subject.features(subject.rows).mean(axis=0)

    def value(rows: Rows) -> Floats:
        features = subject.features(rows)
        return subject.readout(features - ((features - centre) @ unit)[:, None] * unit)

    return dataclasses.replace(subject, value=value)
