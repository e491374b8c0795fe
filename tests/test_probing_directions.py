"""The instruments singular and truth on agents: what they measure, what they leave out, and their planted controls."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest

from agents.agent import build_agent
from agents.config import AgentConfig
from analysis.instruments.singular import singular_directions
from analysis.instruments.truth import CcsSettings
from analysis.probing import singular, truth, truth_distractor, truth_reversals
from analysis.probing.activity import INTERFACE, Activity
from analysis.probing.collecting import Collection, collect
from analysis.probing.instrument import Finding, Settings
from analysis.probing.material import Material, NotApplicable
from analysis.probing.singular_layers import interface_of
from analysis.probing.truth_reversals import reversals_of, search_site, swing_without
from envs import make_world
from envs.errors import UserError
from envs.step_buffers import observation_space

FEW = Collection(num_episodes=40, max_rows=2000, num_levels=128)


@functools.cache
def material(env_id: str = "ValueLab/MultiNeed-5x5-v0", head: str = "MONO", encoder: str = "mlp") -> Material:
    """Of an agent that was never trained."""
    world = make_world(env_id)
    config = AgentConfig(
        head=head, encoder=encoder, encoder_sizes=(32, 16), hidden_size=24, memory_size=16, num_parts=3
    )
    config = config if head != "MONO" else AgentConfig(**{**vars(config), "num_parts": None})
    return collect(
        build_agent(observation_space(world), world.num_actions, config, seed=1), env_id, seed=0, collection=FEW
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUELAB_CACHE", str(tmp_path_factory.getbasetemp() / "controls"))


def row(finding: Finding, **keys: object) -> dict[str, object]:
    (found,) = (one for one in finding.rows if all(one.get(key) == value for key, value in keys.items()))
    return dict(found)


def test_the_layers_at_the_interface_are_the_agents_own() -> None:
    agent = material(head="MOE").agent
    interface = interface_of(agent)
    assert interface.written is not None
    states = material(head="MOE").visited
    before, features = states.trained.site("value_encoder.0"), states.trained.site("value_head.features")
    bias = agent.value_encoder.dense.layers[-1].bias.detach().numpy()
    np.testing.assert_allclose(np.maximum(before @ interface.written.T + bias, 0), features, atol=1e-5)
    hidden = np.concatenate([features @ part.T for part in interface.parts], axis=1)
    np.testing.assert_allclose(np.maximum(hidden, 0), states.trained.site("value_head.hidden"), atol=1e-5)
    np.testing.assert_array_equal(np.concatenate(interface.parts), interface.read)
    assert np.std(interface.read) == pytest.approx(interface.read_std, rel=0.1)


@pytest.mark.parametrize(("head", "encoder"), [("MONO", "mlp"), ("MOE", "conv"), ("MONO", "gru")])
def test_singular_directions_of_agents(head: str, encoder: str) -> None:
    finding = singular.measure(material(head=head, encoder=encoder), Settings(seed=0))
    # Never trained, so both networks are one and every difference is 0.
    for one in finding.rows:
        np.testing.assert_equal(one["trained"], one["untrained"])
    assert row(finding, measure="planted direction: gains above noise")["trained"] == 1.0
    assert row(finding, measure="planted V: directions that it needs")["trained"] >= 1.0
    assert row(finding, measure="noise alone: gains above it")["trained"] == 0.0
    assert math.isnan(finding.numbers["overlap of parts' reads"]) == (head == "MONO")
    assert math.isnan(finding.numbers["what V reads of what E writes"]) == (encoder == "gru")
    assert ("singular_jacobians" in finding.figures) == (encoder != "gru")
    assert {"singular_gains", "singular_ablation", "singular_maps"} <= finding.figures.keys()


def test_a_planted_read_direction_is_found_in_an_agent() -> None:
    whole = material()
    stack = whole.agent.value_head.parts
    before = stack.input_weight.detach().clone()
    direction = np.eye(16)[5]
    try:
        stack.input_weight.data[0, :, 5] += 8.0 / 24**0.5
        found = singular_directions(interface_of(whole.agent).read)
        finding = singular.measure(whole, Settings(seed=0))
    finally:
        stack.input_weight.data.copy_(before)
    assert abs(found.read[0] @ direction) > 0.95
    gains = row(finding, measure="gains of V above noise")
    assert gains["trained"] == 1.0 > gains["untrained"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (truth_reversals, truth_distractor):
        monkeypatch.setattr(module, "SEARCH", CcsSettings(num_starts=2, num_epochs=200))
    monkeypatch.setattr(truth_distractor, "SEEDS", (0,))
    monkeypatch.setattr(truth_reversals, "NUM_DIRECTIONS", 2)
    monkeypatch.setattr(truth_reversals, "MOST_REVERSALS", 1)


@pytest.mark.slow
def test_truth_in_agents_that_were_never_trained(quick: None) -> None:
    finding = truth.measure(material(head="MOE"), Settings(seed=0))
    assert row(finding, site="observation")["distinct"] == 0.0
    # Both sides are alike once their means are off, so p = .4 of everything is the best that can be said.
    assert row(finding, site="observation")["first loss"] == pytest.approx(0.2, abs=0.02)
    assert row(finding, site="V* itself")["first loss"] < 0.1
    for site in ("value_head.features", "value_head.hidden", "value_head.part_2.hidden"):
        one, twin = row(finding, site=site, network="trained"), row(finding, site=site, network="untrained")
        np.testing.assert_equal({**one, "network": ""}, {**twin, "network": ""})
    planted = [row(finding, network="planted", site=f"planted: {name}") for name in ("two features flip", "none flips")]
    assert planted[0]["distinct"] == 2.0 > planted[1]["distinct"] == 0.0
    assert set(finding.figures) == {"truth_recursion", "truth_answers", "truth_counts", "truth_distractor"}
    assert "Parts of V by themselves" in " ".join(finding.found)


def test_a_planted_flip_is_found_instead_of_what_the_search_tells_without_it(quick: None) -> None:
    """In an agent whose features hold V*, and in planted pairs; where V* prefers no context these alone are left."""
    whole = material()
    pairs = whole.require_pairs()
    features = pairs.sample.trained.site(INTERFACE) + 0.0
    features[:, 3] += 20.0 * (pairs.sample.optimal - pairs.sample.optimal.mean())
    sample = dataclasses.replace(pairs.sample, trained=holding(pairs.sample.trained, features))
    reversal = reversals_of(pairs, seed=0)[0]
    holds = dataclasses.replace(whole, pairs=dataclasses.replace(pairs, sample=sample))
    agent, planted = truth_distractor.agent_sweep(holds, reversal), truth_distractor.planted_sweep()
    assert agent is not None and agent.accuracy_alone > 0.95 and planted.accuracy_alone > 0.99
    assert agent.planted[-1] > 0.99 and abs(agent.accuracies[-1] - 0.5) < 0.2
    assert agent.overtaken_at <= 1.0 <= planted.overtaken_at <= 2.0
    np.testing.assert_equal(vars(truth_distractor.planted_sweep()), vars(planted))
    assert len(truth_distractor.sweep_figure(agent, planted).axes) == 2
    assert "V*'s preference" in truth_distractor.sweep_sentences(agent, planted)[0]
    silent = truth_distractor.agent_sweep(holds, dataclasses.replace(reversal, labels=None))
    assert silent is None and truth_distractor.sweep_sentences(silent, planted) == []
    assert len(truth_distractor.sweep_rows(silent, planted)) == 1


def test_a_feature_that_follows_the_optimum_is_found() -> None:
    """V* itself, put among the features, is found without labels and tells the better context."""
    pairs = material().require_pairs()
    optimal, trained = pairs.sample.optimal, pairs.sample.trained
    reversal = reversals_of(pairs, seed=0)[0]
    plain = search_site(pairs, trained, INTERFACE, reversal=reversal)
    features = trained.site(INTERFACE).copy()
    features[:, 3] += 20.0 * (optimal - optimal.mean())
    found = search_site(pairs, holding(trained, features), INTERFACE, reversal=reversal)
    reading = found.search.readings[0]
    assert reading.loss < found.search.tau < plain.search.readings[0].loss
    assert reading.accuracy > 0.95 > plain.search.readings[0].accuracy
    assert np.abs(found.search.directions[0] @ found.axes).argmax() == 3


def holding(activity: Activity, features: np.ndarray) -> Activity:
    """The same network with other features."""
    return dataclasses.replace(activity, activations=dict(activity.activations) | {INTERFACE: features})


def test_a_direction_that_v_reads_takes_its_swing_with_it(quick: None) -> None:
    pairs = material().require_pairs()
    reversal = reversals_of(pairs, seed=0)[0]
    found = search_site(pairs, pairs.sample.trained, INTERFACE, reversal=reversal)

    def left(direction: np.ndarray) -> float:
        probe = dataclasses.replace(found.search.probes[0], direction=direction)
        told = dataclasses.replace(found, search=dataclasses.replace(found.search, probes=(probe,)))
        network = LinearInterface(pairs.sample.trained)
        return swing_without(pairs, network, INTERFACE, searched=[told], reversals=[reversal])[0]

    assert left(np.eye(16)[0]) == pytest.approx(0.0, abs=1e-9)
    assert left(np.eye(16)[1]) == pytest.approx(1.0)


class LinearInterface:
    """A network whose V is its first feature."""

    def __init__(self, activity: Activity) -> None:
        self.activity = activity

    def take(self, index: np.ndarray) -> LinearInterface:
        return LinearInterface(self.activity.take(index))

    def site(self, name: str) -> np.ndarray:
        # A feature that never fires would have no swing.
        return self.activity.site(name) + self.activity.values[:, None]

    def value_of(self, site: str, given: np.ndarray) -> np.ndarray:
        return given[:, 0]


def test_where_v_star_does_not_flip_all_situations_are_searched() -> None:
    pairs = material().require_pairs()
    flat = dataclasses.replace(pairs, sample=dataclasses.replace(pairs.sample, optimal=np.ones(len(pairs.sample))))
    reversal = reversals_of(flat, seed=0)[0]
    assert (reversal.flips, reversal.labels, len(reversal.chosen)) == (False, None, len(pairs.sample) // 4)
    flipping = reversals_of(pairs, seed=0)[0]
    assert flipping.flips and 0 < flipping.labels.mean() < 1
    levels = pairs.table(pairs.sample.states.groups)[flipping.chosen, 0]
    assert not set(levels[flipping.is_test]) & set(levels[~flipping.is_test])


def test_truth_needs_contexts_and_enough_of_them() -> None:
    whole = material()
    without = dataclasses.replace(whole, pairs=None, missing={"pairs": "The environment names no context."})
    with pytest.raises(NotApplicable, match="names no context"):
        truth.measure(without, Settings(seed=0))
    pairs = whole.require_pairs()
    few = dataclasses.replace(pairs, sample=pairs.sample.take(np.arange(80)))
    with pytest.raises(UserError, match="20 situations of .* at least 100"):
        reversals_of(few, seed=0)


def test_the_same_seed_gives_the_same_numbers(quick: None) -> None:
    pairs = material().require_pairs()
    found = [
        search_site(pairs, pairs.sample.trained, INTERFACE, reversal=reversals_of(pairs, seed=3)[0]) for _ in range(2)
    ]
    np.testing.assert_array_equal(*(each.search.directions for each in found))
