"""T14 as the comparison runs it: the graph of E's last layers and V's hidden units, of a fit and before training."""

from __future__ import annotations

from typing import Any

from agents.agent import AlphaAgent, restart_value
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.parts import Floats
from analysis.predictions.weight_cut import PREDICTION, clusterability
from analysis.studies.held_out_units import cluster_seed
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import fitted_agent, world_of_run

CUT = "comparison.weight_cut"


@cell_function(CUT, version=1, seconds=4.0)
def cut(context: CellContext) -> list[Row]:
    """T14 of one fitted V, and for MONO of its network before training."""
    config, agent = context.config, fitted_agent(context)
    num_clusters, seed = len(world_of_run(config).context_names), cluster_seed(config["seed"])
    row: Row = {"kind": "score", **clusterability(layer_weights(agent), num_clusters, seed=seed)}
    if config["arm"] == "MONO":
        untrained = clusterability(layer_weights(restart_value(agent)), num_clusters, seed=seed)
        row["untrained"] = untrained["score"]
    return [row]


def layer_weights(agent: AlphaAgent) -> list[Floats]:
    """Weights float[out, in] between E's layers, without the first, and from E to the hidden units of all parts of V.

    The first layer is left out: its inputs are planes of pixels, each read by one weight a unit.
    """
    encoder: Any = agent.value_encoder
    head: Any = agent.value_head
    layers, first = [layer.weight for layer in encoder.dense.layers][1:], head.parts.input_weight
    return [layer.detach().double().cpu().numpy() for layer in (*layers, first.reshape(-1, first.shape[-1]))]


TEST = LineTest(
    prediction=PREDICTION,
    cell=CUT,
    worlds=("MultiNeed",),
    title="T14: does the graph of V's weights fall into clusters? (a description)",
    axis="how far the n-cut lies below that of shuffled weights (share)",
    admission=True,
    shown=("n_cut", "n_cut_shuffled", "untrained"),
)
