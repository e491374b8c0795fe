"""`tails` on an agent: both networks, layer 0 and the plants stand in every report, and sentences carry their nulls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from agents.agent import build_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from analysis.probing import registry, tails
from analysis.probing.collecting import Collection, collect
from analysis.probing.instrument import Finding, Settings
from analysis.probing.material import Material
from analysis.probing.tails_reading import FEATURES, LINEAR, PARTS, UNITS, linear_contributions
from envs.errors import UserError

MULTI, SMALL = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2}
NETWORKS = ("trained", "untrained")


@cache
def material(num_episodes: int = 100, num_levels: int = 55) -> Material:
    env = make_vector(MULTI, 1, options=SMALL)
    config = AgentConfig(head="MOE", num_parts=3, encoder_sizes=(12, 10), hidden_size=24, num_contexts=2, num_events=2)
    sample = env.reset(seed=[0])[0]
    agent = build_agent(env.single_observation_space, int(env.single_action_space.n), config, seed=0, sample=sample)
    amounts = Collection(num_episodes=num_episodes, max_rows=1500, num_levels=num_levels)
    return collect(agent, MULTI, seed=3, collection=amounts, options=SMALL)


@pytest.fixture(scope="module")
def finding(tmp_path_factory) -> Iterator[Finding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALUELAB_CACHE", str(tmp_path_factory.mktemp("controls")))
        patch.setattr(tails, "PLANT_ROWS", 500)
        yield registry.instrument("tails").measure(material(), Settings(seed=0, num_rows=500))


def test_every_report_holds_both_networks_layer_zero_and_the_plants(finding: Finding) -> None:
    read = {(row["layer"], row.get("network")) for row in finding.rows}
    assert read >= {(layer, net) for layer in (UNITS, PARTS, FEATURES) for net in NETWORKS}
    assert (LINEAR, "trained") in read
    planted = {row["layer"]: row for row in finding.rows if str(row["layer"]).startswith("planted")}
    assert planted["planted many small independent, Laplace"]["not_normal"] > 0.9
    assert planted["planted null: copies of one, normal"]["R"] > 30
    assert planted["planted null: many scales, normal"]["not_normal"] < 0.1
    text = " ".join(finding.found)
    assert all(words in text for words in ("before training", "shuffled by itself", "Layer 0", "Planted sums"))
    assert set(finding.figures) >= {"tails_contributions", "tails_shapes", "tails_hill", "tails_exponents"}


def test_an_agent_that_was_not_trained_differs_in_nothing_from_its_twin(finding: Finding) -> None:
    rows = {network: [row for row in finding.rows if row.get("network") == network] for network in NETWORKS}
    for untrained in rows["untrained"]:
        same = [
            row for row in rows["trained"] if (row["layer"], row["states"]) == (untrained["layer"], untrained["states"])
        ]
        assert [repr({**row, "network": "", "not_normal": 0}) for row in same] == [
            repr({**untrained, "network": "", "not_normal": 0})
        ]


def test_numbers_are_those_of_the_units_and_all_rows_are_plain(finding: Finding) -> None:
    first = finding.rows[0]
    assert finding.numbers["n_eff of contributions"] == first["n_eff"]
    assert finding.numbers["R = Var(V) / sum of variances"] == first["R"]
    assert all(math.isfinite(number) for number in finding.numbers.values())
    for row in finding.rows:
        for value in row.values():
            assert isinstance(value, (str, int, float, bool, tuple)), (type(value), value)
            assert not isinstance(value, np.generic) or isinstance(value, float)


def test_a_linear_v_adds_up_to_the_fit() -> None:
    held = material().visited.trained
    total = linear_contributions(held).sum(axis=1)
    assert np.corrcoef(total, held.values)[0, 1] > 0.6


def test_few_episodes_are_refused_with_their_number(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VALUELAB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="20 groups, but a tail is read from 50"):
        registry.instrument("tails").measure(material(20, 4), Settings(seed=0))
