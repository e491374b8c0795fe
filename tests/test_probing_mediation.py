"""The instrument `mediation` on an agent whose V is its linear context code."""

from __future__ import annotations

import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from analysis.probing.activity import HIDDEN, INTERFACE, OBSERVATION
from analysis.probing.collecting import Collection, collect
from analysis.probing.instrument import Settings
from analysis.probing.material import NotApplicable
from analysis.probing.mediation import CURVED, LINEAR, MEAN, measure

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
    rows = {(row["network"], row["site"], row["erased by"]): row for row in finding.rows}
    leace = rows["trained", INTERFACE, "LEACE"]
    assert leace["mediated"] > 0.98 and rows["trained", INTERFACE, "mean projection"]["mediated"] > 0.9
    assert rows["trained", INTERFACE, MEAN]["mediated"] == pytest.approx(1.0)
    assert leace["random_range"][0] <= leace["random"] < 0.5 < leace["random_range"][1] + 0.5
    assert rows["trained", HIDDEN, "LEACE"]["mediated"] > 0.98
    assert finding.numbers["mediated by the linear code in E"] == leace["mediated"]
    linear, curved = (rows["planted", site, "LEACE"] for site in (LINEAR, CURVED))
    assert linear["mediated"] > 0.95 > curved["mediated"] + 0.7
    assert abs(curved["mediated"]) < 0.15 and linear["random"] < 0.3
    assert {network for network, _, _ in rows} == {"trained", "untrained", "planted"}
    assert ("trained", OBSERVATION, "LEACE") in rows
    assert "random subspaces" in finding.found[0] and "Planted" in finding.found[-1]
    assert not finding.not_shown


def test_without_pairs_it_is_not_applicable() -> None:
    options = SMALL | {"context": "hidden"}
    env = make_vector(MULTI, 1, options=options)
    agent = build_agent(env.single_observation_space, 4, AgentConfig(encoder_sizes=(12,), hidden_size=8), seed=0)
    few = Collection(num_episodes=10, num_levels=24, max_states=10)
    with pytest.raises(NotApplicable, match="states"):
        measure(collect(agent, MULTI, seed=0, collection=few, options=options), Settings(seed=0))
