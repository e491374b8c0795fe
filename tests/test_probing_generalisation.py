"""`generalisation` on an agent: three splits, both networks and layer 0 in every report; plants tell them apart."""

from __future__ import annotations

import math

import pytest

from agents.agent import build_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from analysis.instruments.probes import ProbeSettings
from analysis.probing.collecting import Collection, collect
from analysis.probing.generalisation import CONTEXT, INSTRUMENT, OPTIMUM
from analysis.probing.instrument import Settings
from analysis.probing.probe_controls import planted_probes

MULTI, SMALL = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2}
FEATURES = "features that V reads"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VALUELAB_CACHE", str(tmp_path))


def test_every_split_target_and_network_is_reported() -> None:
    env = make_vector(MULTI, 1, options=SMALL)
    config = AgentConfig(encoder_sizes=(12, 10), hidden_size=24, num_contexts=2, num_events=2)
    sample = env.reset(seed=[0])[0]
    agent = build_agent(env.single_observation_space, int(env.single_action_space.n), config, seed=0, sample=sample)
    amounts = Collection(num_episodes=60, max_rows=600, num_levels=6)
    material = collect(agent, MULTI, seed=3, collection=amounts, options=SMALL)
    loose = ProbeSettings(num_folds=2, penalties=(0.1,), num_resamples=100, states_per_dimension=0.0)
    finding = INSTRUMENT.measure(material, Settings(seed=0, num_rows=300, probe=loose))
    rows = [row for row in finding.rows if row["target"] in (CONTEXT, OPTIMUM)]
    assert len(rows) == 2 * 3 * 3
    for row in rows:
        assert row["refusal"] == ""
        assert row["chance"] == (0.5 if row["target"] == CONTEXT else 0.0)
    features = {
        network: [repr({**row, "network": ""}) for row in rows if (row["layer"], row["network"]) == (FEATURES, network)]
        for network in ("trained", "untrained")
    }
    assert len(features["trained"]) == 6
    assert features["trained"] == features["untrained"]  # an agent that was not trained is its own twin
    assert all(math.isfinite(number) for number in finding.numbers.values())
    assert finding.numbers[f"{CONTEXT}, new levels, gain by training"] == 0.0
    assert set(finding.figures) == {"generalisation_context", "generalisation_optimum"}
    text = " ".join(finding.found)
    assert all(words in text for words in ("control task", "on new levels", "Planted"))


def test_plants_are_told_apart_by_the_splits() -> None:
    concept, lookup, noise = planted_probes().values()
    assert all(score == pytest.approx(0.93, abs=0.03) for score in concept.values())
    assert lookup["episode"] > 0.99
    assert max(lookup["level"], lookup["state"]) < 0.65
    assert all(abs(score - 0.5) < 0.06 for score in noise.values())
    assert min(concept.values()) > max(lookup["state"], *noise.values()) + 0.2
