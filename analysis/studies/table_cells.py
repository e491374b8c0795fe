"""ContextTable as the comparison runs it: V of every situation under every context, beside V*'s and V^pi's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.checkpoint import load_agent
from agents.exact import policy_table, value_table
from agents.seeding import derive_seed, numpy_generator
from analysis import admission
from analysis.cells import CellContext, Row, cell_function
from analysis.instruments.minimal_pairs import context_cells, match_contexts, world_with_pairs
from analysis.predictions import context_table
from analysis.predictions.parts import Floats
from analysis.studies.held_out_units import NUM_LEVELS, held_out_table
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import AGENT, RECORD, fitted_agent, setup_of, world_of_run
from envs.tabular import policy_evaluation, value_iteration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "comparison.context_table"
PLANTS = ("INTERACTION", "OPTIMUM")
"""Planted tables: V* with an interaction of its own, and V* itself."""
ADDED = 1.5
"""Standard deviation of the planted interaction, in that of V*."""
DRAWN = ("MONO", "MOE", "ROUTE", "POS")


@cell_function(TABLE, version=2, seconds=2.0)
def tabulate(context: CellContext) -> list[Row]:
    """V(s, c) of one fitted V over all situations of held-out levels, in excess of V*'s and of V^pi's."""
    config = context.config
    seed = derive_seed(config["seed"], "comparison", "halves", bits=32)
    tables = _tables(context)
    found = {name: context_table.read_table(table, seed=seed) for name, table in tables.items()}
    value, optimal, policy = (found[name] for name in ("V", "V*", "V^pi"))
    score: Row = {
        "kind": "score", "score": value.interaction - optimal.interaction, "interaction": value.interaction,
        "interaction_optimal": optimal.interaction, "beyond_policy": value.interaction - policy.interaction,
        "effective_rank": value.effective_rank, "effective_rank_excess": value.effective_rank - optimal.effective_rank,
        "rank": value.rank, "rank_optimal": optimal.rank,
    }  # fmt: skip
    world = config["world"]
    curves = [
        {"kind": "additivity", "world": world, "of": name, "shards": m, "explained": share}
        for name, table in found.items()
        for m, share in enumerate(table.explained, start=1)
    ]
    return [score, *curves, *_means(tables["V"], tables["V*"], world_of_run(config).context_names, world=world)]


def _means(values: Floats, optimum: Floats, contexts: Sequence[str], *, world: str) -> list[Row]:
    """Mean V at each level of V* under each context, of tables float[M, C]."""
    return [
        {"kind": "value", "world": world, "context": name, "optimum": level, "value": float(here[at == level].mean())}
        for name, here, at in zip(contexts, values.T, optimum.T.round(9), strict=True)
        for level in np.unique(at).tolist()
    ]


def _tables(context: CellContext) -> Mapping[str, Floats]:
    """Tables float[M, C] of V, V* and V^pi of the recorded policy."""
    world = world_with_pairs(world_of_run(context.config))
    mdp = held_out_table(world, num_levels=NUM_LEVELS)
    contexts = world.context_of(mdp.rows)
    situations, _ = match_contexts(mdp.rows, contexts, cells=context_cells(mdp.rows, contexts))
    optimum = value_iteration(mdp).values
    player, _ = load_agent(context.parent(RECORD).folder / AGENT)
    policy = policy_table(player, world, mdp.rows, uniform_share=setup_of(context.config).uniform_share)
    exact = {"V*": optimum[situations], "V^pi": policy_evaluation(mdp, policy)[situations]}
    if context.config["arm"] in PLANTS:
        return {"V": planted_table(context.config, exact["V*"]), **exact}
    return {"V": value_table(fitted_agent(context), world, mdp.rows)[situations], **exact}


def planted_table(config: Mapping[str, Any], optimum: Floats) -> Floats:
    """V* as it is, or with noise that is nothing but interaction, float[M, C]."""
    if config["arm"] == "OPTIMUM":
        return optimum
    noise = numpy_generator(config["seed"], "comparison", "planted interaction").normal(size=optimum.shape)
    noise += noise.mean() - noise.mean(axis=0) - noise.mean(axis=1, keepdims=True)
    return np.asarray(optimum + ADDED * optimum.std() / noise.std() * noise)


def planted_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why the test may not be read: planted tables that do not come out."""
    return admission.planted_fault(lines, *PLANTS, margin=context_table.PREDICTION.margin)


def draw(rows: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """How much of V, V* and V^pi some shards explain, and V against V* under each context."""
    from analysis.plots import LearningCurve, learning_curves, value_scatter

    chosen = {line: list(rows[line]) for line in DRAWN if rows.get(line)}
    if not chosen:
        return {}
    first = next(iter(chosen.values()))
    worlds = dict.fromkeys(row["world"] for row in first if row["kind"] == "additivity")
    explained = {line: _explained(every, of="V") for line, every in chosen.items()}
    explained |= {name: _explained(first, of=name) for name in ("V*", "V^pi")}
    shards = np.arange(1.0, explained["V*"].shape[1] + 1)
    panels = {line: _by_context(every) for line, every in chosen.items()}
    world = ", ".join(worlds)
    return {
        f"ContextTable-additivity-{world}.png": learning_curves(
            [LearningCurve(name, shards, shares) for name, shares in explained.items()],
            title=f"ContextTable: how much of V some shards explain ({world})",
            x_label="number of shards", y_label="share of held-out variance",
        ),
        f"ContextTable-values-{world}.png": value_scatter(panels, title=f"V against V* under each context ({world})"),
    }  # fmt: skip


def _explained(rows: Sequence[Row], *, of: str) -> Floats:
    """Share of held-out variance by number of shards, float[seeds, C]."""
    found = [row for row in rows if row["kind"] == "additivity" and row["of"] == of]
    seeds = sorted({row["seed"] for row in found})
    return np.array([[row["explained"] for row in found if row["seed"] == seed] for seed in seeds])


def _by_context(rows: Sequence[Row]) -> dict[str, tuple[Floats, Floats]]:
    found = [row for row in rows if row["kind"] == "value"]
    return {
        name: (np.array([row["optimum"] for row in found if row["context"] == name]),
               np.array([row["value"] for row in found if row["context"] == name]))
        for name in dict.fromkeys(row["context"] for row in found)
    }  # fmt: skip


TEST = LineTest(
    prediction=context_table.PREDICTION,
    cell=TABLE,
    worlds=("MultiNeed", "DiamondGhost", "CrossedHistory"),
    title="Does V depend on context in more than the way V* does?",
    axis="interaction share of V(s,c) beyond V*'s",
    parents=("fit", "record"),
    plants=PLANTS,
    fault=planted_fault,
    encoders=True,
    draw=draw,
    shown=("interaction", "interaction_optimal", "beyond_policy", "effective_rank", "effective_rank_excess", "rank"),
)
