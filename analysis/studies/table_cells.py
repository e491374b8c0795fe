"""Two readings of V over whole tables of states: V(s, c) beside V*'s, and which part answers to which history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.agent import AlphaAgent, restart_value
from agents.checkpoint import load_agent
from agents.exact import policy_table, value_table
from agents.seeding import derive_seed
from analysis.arms import LABELLED
from analysis.cells import CellContext, Row, cell_function
from analysis.instruments.minimal_pairs import context_cells, match_contexts, world_with_pairs
from analysis.predictions import context_table, event_binding
from analysis.predictions.crossed_states import crossed_rows
from analysis.predictions.parts import Floats, find_parts
from analysis.studies.held_out_units import NUM_LEVELS, cluster_seed, held_out_table, unit_contributions
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import AGENT, RECORD, fitted_agent, setup_of, world_of_run
from envs.tabular import policy_evaluation, value_iteration

TABLE, BIND = "comparison.context_table", "comparison.binding"
NUM_LAYOUTS = 40


@cell_function(TABLE, version=1, seconds=2.0)
def tabulate(context: CellContext) -> list[Row]:
    """V(s, c) of one fitted V over all situations of held-out levels, in excess of V*'s and of V^pi's."""
    config = context.config
    seed = derive_seed(config["seed"], "comparison", "halves", bits=32)
    found = {name: context_table.read_table(table, seed=seed) for name, table in _tables(context).items()}
    value, optimal, policy = (found[name] for name in ("V", "V*", "V^pi"))
    score: Row = {
        "kind": "score", "score": value.interaction - optimal.interaction, "interaction": value.interaction,
        "interaction_optimal": optimal.interaction, "beyond_policy": value.interaction - policy.interaction,
        "effective_rank": value.effective_rank, "effective_rank_excess": value.effective_rank - optimal.effective_rank,
        "rank": value.rank, "rank_optimal": optimal.rank,
    }  # fmt: skip
    curves = [
        {"kind": "additivity", "of": name, "shards": m, "explained": share}
        for name, table in found.items()
        for m, share in enumerate(table.explained, start=1)
    ]
    return [score, *curves]


def _tables(context: CellContext) -> Mapping[str, Floats]:
    """Tables float[M, C] of V, V* and V^pi of the recorded policy."""
    world = world_with_pairs(world_of_run(context.config))
    mdp = held_out_table(world, num_levels=NUM_LEVELS)
    contexts = world.context_of(mdp.rows)
    situations, _ = match_contexts(mdp.rows, contexts, cells=context_cells(mdp.rows, contexts))
    agent = fitted_agent(context)
    player, _ = load_agent(context.parent(RECORD).folder / AGENT)
    policy = policy_table(player, world, mdp.rows, uniform_share=setup_of(context.config).uniform_share)
    values = {
        "V": value_table(agent, world, mdp.rows),
        "V*": value_iteration(mdp).values,
        "V^pi": policy_evaluation(mdp, policy),
    }
    return {name: every[situations] for name, every in values.items()}


@cell_function(BIND, version=1, seconds=1.0)
def bind(context: CellContext) -> list[Row]:
    """Whether units answer to the cue and the object of one history; the untrained network, and clusters of units."""
    config = context.config
    trained = world_of_run(config)
    pairing, world = np.array(trained.config.pairing, dtype=np.int64), trained.in_layout("crossed")
    rows = crossed_rows(world, num_layouts=NUM_LAYOUTS)
    agent = fitted_agent(context)
    seed = cluster_seed(config["seed"])

    def bound(subject: AlphaAgent, *, clustered: bool = False) -> float:
        units = unit_contributions(subject, world, rows.reshape(-1, rows.shape[-1]))
        columns = find_parts(units, len(pairing), seed=seed) if clustered else np.arange(units.shape[1])
        activity = event_binding.profile(units.reshape(*rows.shape[:3], -1), columns, int(columns.max()) + 1)
        return event_binding.binding(activity, pairing)

    return [{
        "kind": "score", "score": bound(agent), "untrained": bound(restart_value(agent)),
        "clusters": bound(agent, clustered=True),
    }]  # fmt: skip


TABLE_TEST = LineTest(
    prediction=context_table.PREDICTION,
    cell=TABLE,
    worlds=("MultiNeed", "DiamondGhost", "CrossedHistory"),
    title="Does V depend on context in more than the way V* does?",
    axis="interaction share of V(s,c) beyond V*'s",
    parents=("fit", "record"),
    encoders=True,
    shown=("interaction", "interaction_optimal", "beyond_policy", "effective_rank", "effective_rank_excess", "rank"),
)

BINDING_TEST = LineTest(
    prediction=event_binding.PREDICTION,
    cell=BIND,
    worlds=("CrossedHistory",),
    title="T13: where histories were assigned at random, do units follow the assignment?",
    axis="binding of cue and object of one history (0: as any other pairing)",
    encoders=True,
    by_construction=("POS", *LABELLED),
    shown=("untrained", "clusters"),
)
