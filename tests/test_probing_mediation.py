"""The instrument `mediation` on an agent whose V is its linear context code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from analysis.probing.collecting import Collection, collect
from analysis.probing.instrument import Settings
from analysis.probing.material import NotApplicable
from analysis.probing.mediation import BLIND, ERASED, NUM_RANDOM, RANDOM, measure

MULTI, SMALL = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2}
FEW = Collection(num_episodes=10, max_rows=2000, num_levels=24)


def linear_agent() -> AlphaAgent:
    """V is the second cue itself, through one unit of E."""
    env = make_vector(MULTI, 1, options=SMALL)
    agent = build_agent(env.single_observation_space, 4, AgentConfig(encoder_sizes=(12,), hidden_size=8), seed=0)
    with torch.no_grad():
        layer, parts = agent.value_encoder.dense.layers[0], agent.value_head.parts
        # The cues are the last inputs.
        layer.weight[0] = 0.0
        layer.weight[0, -1], layer.bias[0] = 1.0, 1.0
        for weight in (parts.input_weight, parts.output_weight):
            weight.zero_()
        parts.input_weight[0, 0, 0], parts.output_weight[0, 0] = 1.0, 1.0
    return agent


def test_a_planted_linear_code_is_mediated_and_random_subspaces_mediate_less() -> None:
    material = collect(linear_agent(), MULTI, seed=0, collection=FEW, options=SMALL)
    finding = measure(material, Settings(seed=0))
    at = [row for row in finding.rows if (row["network"], row["site"]) == ("trained", "value_head.features")]
    by = {name: [row["mediated"] for row in at if row["change"] == name] for name in (ERASED, BLIND, RANDOM)}
    assert by[ERASED][0] > 0.98 and by[BLIND][0] == pytest.approx(1.0)
    assert len(by[RANDOM]) == NUM_RANDOM and np.mean(by[RANDOM]) < 0.5
    assert finding.numbers["share mediated by the linear context code"] == by[ERASED][0]
    assert {row["network"] for row in finding.rows} == {"trained", "untrained"}
    assert "observation" in {row["site"] for row in finding.rows}
    assert "random subspaces" in finding.found[0] and "planted positive" in finding.found[0]


def test_without_pairs_it_is_not_applicable() -> None:
    options = SMALL | {"context": "hidden"}
    env = make_vector(MULTI, 1, options=options)
    agent = build_agent(env.single_observation_space, 4, AgentConfig(encoder_sizes=(12,), hidden_size=8), seed=0)
    few = Collection(num_episodes=10, num_levels=24, max_states=10)
    with pytest.raises(NotApplicable, match="states"):
        measure(collect(agent, MULTI, seed=0, collection=few, options=options), Settings(seed=0))
