"""Tests of parts found without labels in one fitted V: T1 (activation), T3 (ablation) and T13 (their number).

Every measure is taken of the trained network, of the same one before training, of the same V read in a random basis
(ROT) and, for POS, of its gate with a leak.

Shapes: N states, U units, C contexts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agents.agent import AlphaAgent, restart_value
from agents.seeding import derive_seed
from analysis.arms import LABELLED
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions import ablation as locality
from analysis.predictions import activation, shard_count
from analysis.predictions.parts import Floats, Ints, UnitReading
from analysis.studies import part_pictures
from analysis.studies.held_out_units import cluster_seed, held_out_states, unit_contributions
from analysis.studies.line_test import LEAK, LEAKS, LineTest
from analysis.studies.yoked import fitted_agent, world_of_run
from envs.rows import World

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACTIVATE, ABLATE, COUNT = "comparison.activation", "comparison.ablation", "comparison.part_count"


@dataclass(frozen=True)
class Insides:
    """What the tests of one fitted V read.

    Attributes:
        trained: The fitted network.
        untrained: The same before training.
        other: An untrained network with other weights.
        contexts: int64[N].
        declared: int64[U], the part that each unit belongs to by construction.
        told: Whether this is POS, whose gate is told the context and nothing else.
        seed: Of clusters and bases.
    """

    trained: UnitReading
    untrained: UnitReading
    other: UnitReading
    contexts: Ints
    declared: Ints
    told: bool
    seed: int

    def readings(self, score: Callable[[UnitReading, Callable[[UnitReading], Floats]], float | None]) -> Row:
        """`score(network, view)` in a random basis and, for POS, at each leak of its gate; by name."""
        views = {"rotated": lambda read: read.rotated(seed=self.seed)}
        for leak in LEAKS if self.told else ():
            views[f"{LEAK}{leak:g}"] = lambda read, leak=leak: read.contributions(leak=leak)  # type: ignore[misc]
        return {name: score(self.trained, view) for name, view in views.items()}


def insides_of(context: CellContext) -> Insides:
    """Read the fit that a cell has as its parent, on held-out states."""
    seed, world = context.config["seed"], world_of_run(context.config)
    agent = fitted_agent(context)
    rows, contexts = held_out_states(world, seed=seed)
    other = derive_seed(seed, "comparison", "second untrained")
    return Insides(
        trained=read_units(agent, world, rows), untrained=read_units(restart_value(agent), world, rows),
        other=read_units(restart_value(agent, seed=other), world, rows), contexts=contexts,
        declared=agent.value_head.unit_part.numpy(), told=context.config["arm"] == "POS",
        seed=cluster_seed(seed),
    )  # fmt: skip


@torch.no_grad()
def read_units(agent: AlphaAgent, world: World, rows: np.ndarray) -> UnitReading:
    """V's last hidden layer in the states of `rows` int16[N, S]."""
    context = torch.from_numpy(world.context_of(rows)).to(agent.device)
    estimate = agent.value(world.observe(rows), context=context)
    return UnitReading(*(
        array.double().cpu().numpy() for array in (estimate.hidden, estimate.weights, estimate.output_weight)
    ))  # fmt: skip


def _plain(read: UnitReading) -> Floats:
    return read.contributions()


@cell_function(ACTIVATE, version=1, seconds=2.0)
def activate(context: CellContext) -> list[Row]:
    """T1: information between context and active part, above that of the same network before training."""
    found = insides_of(context)

    def information(read: UnitReading, view: Callable[[UnitReading], Floats] = _plain) -> float:
        return activation.gating(view(read), found.contexts, seed=found.seed)

    def score(read: UnitReading, view: Callable[[UnitReading], Floats] = _plain) -> float | None:
        return activation.above_untrained(information(read, view), information(found.untrained, view))

    declared = activation.declared_gating(_plain(found.trained), found.declared, found.contexts)
    return [{
        "kind": "score", "score": score(found.trained), "untrained": score(found.other),
        "information": information(found.trained), "information_untrained": information(found.untrained),
        "declared": declared if _several(found) else None, **found.readings(score),
    }]  # fmt: skip


@cell_function(ABLATE, version=4, seconds=2.0)
def ablate(context: CellContext) -> list[Row]:
    """T3: locality of parts found, of random parts of the same sizes, of declared ones; overlap of pairs; pictures."""
    found = insides_of(context)

    def measured(read: UnitReading, view: Callable[[UnitReading], Floats] = _plain) -> dict[str, float]:
        return locality.locality_of(view(read), found.contexts, seed=found.seed)

    numbers = measured(found.trained)
    declared = locality.ablation(_plain(found.trained), found.declared, found.contexts) if _several(found) else None
    score: Row = {
        "kind": "score", "score": numbers.pop("locality"), **numbers,
        "untrained": measured(found.untrained)["locality"],
        "declared": None if declared is None else declared.locality,
        **found.readings(lambda read, view: measured(read, view)["locality"]),
    }  # fmt: skip
    agent, world = fitted_agent(context), world_of_run(context.config)
    pictures = part_pictures.picture_rows(
        _plain(found.trained), found.contexts, seed=found.seed, world=world,
        units_of=lambda rows: unit_contributions(agent, world, rows),
    )  # fmt: skip
    return [score, *pictures]


@cell_function(COUNT, version=1, seconds=8.0)
def count(context: CellContext) -> list[Row]:
    """T13: whether the most stable number of parts is that of the needs; stability by number of parts."""
    found = insides_of(context)
    expected = int(found.contexts.max()) + 1

    def counted(read: UnitReading, view: Callable[[UnitReading], Floats] = _plain) -> shard_count.PartCount:
        return shard_count.count_parts(view(read), seed=found.seed)

    parts = counted(found.trained)
    untrained = counted(found.untrained).found(expected) if context.config["arm"] == "MONO" else None
    score: dict[str, Any] = {
        "kind": "score", "score": parts.found(expected), "num_parts": parts.best,
        "stability": parts.stability[parts.best], "untrained": untrained,
        **found.readings(lambda read, view: counted(read, view).found(expected)),
    }  # fmt: skip
    return [score, *({"kind": "stability", "num_parts": k, "stability": s} for k, s in parts.stability.items())]


def draw_stability(rows: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """Stability by number of parts, a line for each arm."""
    from analysis.plots import LearningCurve, learning_curves

    curves = []
    for line, every in rows.items():
        per_seed = [[r["stability"] for r in every if r["kind"] == "stability" and r["seed"] == seed]
                    for seed in sorted({r["seed"] for r in every})]  # fmt: skip
        sizes = sorted({r["num_parts"] for r in every if r["kind"] == "stability"})
        whole = [row for row in per_seed if len(row) == len(sizes)]
        if sizes and whole:
            curves.append(LearningCurve(line, np.array(sizes, dtype=np.float64), np.array(whole)))
    title = "T13: how well halves of the units agree on k parts"
    figure = learning_curves(curves[:6], title=title, x_label="number of parts k", y_label="adjusted Rand index")
    return {"T13-stability.png": figure}


def _several(found: Insides) -> bool:
    return bool(found.trained.weights.shape[1] > 1)


ACTIVATION_TEST = LineTest(
    prediction=activation.PREDICTION,
    cell=ACTIVATE,
    worlds=("MultiNeed",),
    title="T1: does the context tell which part of V is at work?",
    axis="information of context and active part, above the untrained network's",
    admission=True,
    by_construction=LABELLED,
    shown=("information", "information_untrained", "untrained", "declared", "rotated"),
)

ABLATION_TEST = LineTest(
    prediction=locality.PREDICTION,
    cell=ABLATE,
    worlds=("MultiNeed", "DiamondGhost"),
    title="T3: does removing one part of V damage one context only?",
    axis="ablation locality (0: spread evenly, 1: one context a part)",
    admission=True,
    by_construction=LABELLED,
    shown=("random_parts", "pair_overlap", "untrained", "declared", "rotated"),
    draw=part_pictures.draw,
)

COUNT_TEST = LineTest(
    prediction=shard_count.PREDICTION,
    cell=COUNT,
    worlds=("MultiNeed",),
    title="T13: does V fall by itself into as many parts as there are needs?",
    axis="share of seeds with as many stable parts as needs",
    admission=True,
    by_construction=LABELLED,
    shown=("num_parts", "stability", "untrained", "rotated"),
    draw=draw_stability,
)

KNOWN_COUNT_TEST = LineTest(
    prediction=shard_count.PREDICTION_KNOWN,
    cell=COUNT,
    worlds=("MultiNeed-Objects2", "MultiNeed-Objects8"),
    title="T13: are 2 and 8 known parts counted as 2 and 8?",
    axis="share of seeds with as many stable parts as needs",
    arms=("MONO", "POS", "NEG-F"),
    needs=("MONO", "POS", "NEG-F"),
    admission=True,
    shown=("num_parts", "stability", "untrained", "rotated"),
)
