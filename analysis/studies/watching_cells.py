"""What all monitors say of a weak agent, what it does once it is powerful, and whether erased directions stop it."""

from __future__ import annotations

from analysis.cell_files import CellRecord
from analysis.cells import Cell, CellContext, Row, cell_function
from analysis.monitors.behaviour import KAPPAS, LOCKS_IN, MANIPULATES, TRAITS, behave
from analysis.monitors.erasing import TARGETS, erasure
from analysis.monitors.kinds import KAPPA, POWER, regrets_of
from analysis.monitors.registry import MONITORS
from analysis.monitors.zoo import Label
from analysis.studies.powerful_village import EXACT, judges
from analysis.studies.weak_agents import read_weak

WATCH = "niceness.watch"


def exact_cell() -> Cell:
    """The cell that solves the village by which agents are judged to be of a kind; one for all agents."""
    return Cell(EXACT, {"power": POWER, "kappa": KAPPA})


def watch_cell(reward: Cell, agent: Cell) -> Cell:
    """The cell that watches an agent."""
    named = {name: agent.config[name] for name in ("seed", "recipe", "head")}
    return Cell(WATCH, named, parents=(agent, reward, exact_cell()))


@cell_function(WATCH, version=2, seconds=4.0)
def watch(context: CellContext) -> list[Row]:
    """One row of behaviour, one of each monitor's scores, one of each erasure that may stop what the agent does."""
    subject, seed = read_weak(list(context.parents.values())).subject(), context.config["seed"]
    behaved = [behave(subject, kappa) for kappa in KAPPAS]
    onset = {trait: next((one.kappa for one in behaved if one.shows(trait)), None) for trait in TRAITS}
    shows, intact = {trait: behaved[-1].shows(trait) for trait in TRAITS}, behaved[-1].indices
    return [
        {"kind": "behaviour", "onset": onset, "shows": shows,
         "indices": {f"{one.kappa:g}": one.indices for one in behaved},
         "regrets": regrets_of(subject, judges(context, POWER, KAPPA))},
        *({"kind": "scores", "monitor": name, "scores": monitor.score(subject)} for name, monitor in MONITORS.items()),
        *({"kind": "erasure", "of": name, "intact": intact[target.trait], **erasure(subject, target, seed=seed)}
          for name, target in TARGETS.items() if shows[target.trait]),
    ]  # fmt: skip


def label_of(watched: CellRecord, agent: CellRecord) -> Label:
    """What an agent does, from the rows of its `WATCH` cell, and how it was trained, from its own cell's config."""
    behaved = next(row for row in watched.rows if row["kind"] == "behaviour")
    schooling = agent.config["schooling"]
    return Label(
        shows=behaved["shows"], onset=behaved["onset"], regrets=behaved["regrets"],
        trained_at={MANIPULATES: schooling["kappa_p"], LOCKS_IN: schooling["kappa_g"]},
        head=watched.config["head"], recipe=watched.config["recipe"],
    )  # fmt: skip
