"""What instruments are given: the networks' own numbers at every site, random parts, minimal pairs, reasons."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import minigrid  # noqa: F401 (registers the MiniGrid ids)
import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from analysis.probing import controls, registry
from analysis.probing.activity import HIDDEN, INTERFACE, OBSERVATION, POLICY_INTERFACE
from analysis.probing.collecting import Collection, collect
from analysis.probing.material import Material, NotApplicable
from envs.errors import UserError

MULTI, SMALL = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2}
FEW = Collection(num_episodes=20, max_rows=120, num_levels=6)


def new_agent(env_id: str, options: dict, **config: object) -> AlphaAgent:
    env = make_vector(env_id, 1, options=options)
    given = {"encoder_sizes": (12, 10), "memory_size": 8, "hidden_size": 48, "num_contexts": 2, "num_events": 2}
    agent_config = AgentConfig(**{**given, **config})
    sample = env.reset(seed=[0])[0]
    return build_agent(
        env.single_observation_space, int(env.single_action_space.n), agent_config, seed=0, sample=sample
    )


def material_of(env_id: str = MULTI, options: dict = SMALL, **config: object) -> Material:
    return collect(new_agent(env_id, options, **config), env_id, seed=3, collection=FEW, options=options)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"head": "MOE", "num_parts": 3, "head_layers": 2},
        {"head": "POS", "value_encoder": "shared"},
        {"head": "ROUTE", "encoder": "conv", "route_encoder": "stopped", "conv_channels": (3, 4)},
        {"encoder": "gru", "encoder_sizes": (12,)},
    ],
    ids=["mono", "moe", "oracle", "route", "memory"],
)
def test_what_passes_at_a_site_gives_back_the_networks_own_numbers(config: dict) -> None:
    found = material_of(**config)
    samples = [found.visited, found.pairs.sample] + ([] if found.reachable is None else [found.reachable])
    assert (found.reachable is None) == (config.get("encoder") == "gru")
    for sample in samples:
        for held in (sample.trained, sample.untrained):
            contributions = held.unit_contributions.sum(axis=1) + float(held.network.value_head.bias)
            np.testing.assert_allclose(contributions, held.values, atol=1e-5)
            np.testing.assert_allclose((held.part_values * held.part_weights).sum(axis=1), contributions, atol=1e-5)
            for site, units in held.activations.items():
                assert units.dtype == np.float32 and units.ndim == 2 and len(units) == len(sample)
                if site == OBSERVATION and config.get("encoder") == "gru":
                    with pytest.raises(UserError, match="V has a memory of 8 numbers"):
                        held.value_of(site, units)
                elif site.startswith("policy"):
                    np.testing.assert_allclose(held.logits_of(site, units), held.logits, atol=1e-6)
                elif ".part_" not in site:
                    np.testing.assert_allclose(held.value_of(site, units), held.values, atol=1e-6)
                    assert np.abs(held.value_of(site, 2.0 * units + 1.0) - held.values).max() > 1e-3
    assert set(found.visited.trained.activations) == set(found.visited.untrained.activations)


def test_a_gradient_reaches_the_features_whatever_the_credit_rule_cuts() -> None:
    held = material_of(head="ROUTE", route_encoder="stopped").visited.trained
    for site in (OBSERVATION, "value_encoder.0", INTERFACE, HIDDEN):
        given = torch.from_numpy(held.site(site)).requires_grad_()
        held.value_map(site)(given).sum().backward()
        assert given.grad is not None and given.grad.abs().sum() > 0.0
    given = torch.from_numpy(held.site(POLICY_INTERFACE)).requires_grad_()
    held.logits_map(POLICY_INTERFACE)(given)[:, 0].sum().backward()
    assert given.grad is not None


def test_parts_of_samples_are_nested_and_pairs_differ_in_the_context_alone() -> None:
    found = material_of()
    for sample in (found.visited, found.reachable, found.pairs.sample):
        few, more = sample.first(20), sample.first(40)
        assert (len(few), len(more)) == (20, 40)
        assert set(few.states.order) < set(more.states.order)
        assert np.array_equal(few.trained.values, sample.trained.values[sample.states.order < 20])
    pairs = found.pairs
    contexts = pairs.table(pairs.sample.states.contexts)
    assert (contexts == [0, 1]).all()
    rows = pairs.table(pairs.sample.states.rows)
    assert ((rows[:, 0] != rows[:, 1]).sum(axis=1) == 1).all()
    assert len(np.unique(rows.reshape(len(rows) * 2, -1), axis=0)) == 2 * len(rows)
    index = found.table.index.reshape(-1)
    known = {row.tobytes(): value for row, value in zip(found.exact.mdp.rows, found.exact.optimal, strict=True)}
    assert pairs.sample.optimal.tolist() == [known[row.tobytes()] for row in pairs.sample.states.rows]
    assert found.reachable.optimal.tolist() == [known[row.tobytes()] for row in found.reachable.states.rows]
    assert np.isfinite(found.visited.optimal).all() and index.max() < len(found.exact.optimal)


def test_visited_rows_carry_their_episode_and_step() -> None:
    found = material_of()
    states, episodes = found.visited.states, found.episodes
    place = episodes.offsets[states.episodes] + states.steps
    assert np.array_equal(states.rows, episodes.rows[place])
    assert np.array_equal(states.levels, episodes.levels[states.episodes])
    np.testing.assert_array_equal(found.visited.trained.values, found.values[place])
    assert (found.reachable.states.episodes == -1).all()


def test_material_goes_to_another_process_and_follows_from_the_seed() -> None:
    torch.manual_seed(7)
    first = material_of(head="MOE", num_parts=2)
    again = pickle.loads(pickle.dumps(first))
    other = material_of(head="MOE", num_parts=2)
    for one in (again, other):
        assert np.array_equal(one.visited.trained.site(HIDDEN), first.visited.trained.site(HIDDEN))
        assert np.array_equal(one.reachable.states.rows, first.reachable.states.rows)


def test_what_is_missing_says_why() -> None:
    env_id = "MiniGrid-Empty-5x5-v0"
    found = collect(new_agent(env_id, {}), env_id, seed=0, collection=FEW)
    with pytest.raises(NotApplicable, match="The environment names no context"):
        found.require_contexts()
    with pytest.raises(NotApplicable, match="no kernel"):
        found.require_exact()
    assert len(found.visited) > 0 and np.isnan(found.visited.optimal).all()
    with pytest.raises(UserError, match=r"There is no site 'value_head.hiden'.*Did you mean 'value_head.hidden'"):
        found.visited.trained.site("value_head.hiden")
    with pytest.raises(UserError, match="D alone reads|never ran"):
        found.visited.trained.value_of(POLICY_INTERFACE, found.visited.trained.site(POLICY_INTERFACE))
    many = collect(new_agent(MULTI, SMALL), MULTI, seed=0, collection=Collection(20, 120, 6, 10), options=SMALL)
    with pytest.raises(NotApplicable, match="states"):
        many.require_pairs()


def facing(observations: dict) -> np.ndarray:
    return observations["direction"]


def test_a_context_of_the_users_own() -> None:
    env_id = "MiniGrid-Empty-5x5-v0"
    agent = new_agent(env_id, {})
    found = collect(agent, env_id, seed=0, collection=FEW, context_of=facing)
    found.require_contexts()
    assert np.array_equal(found.visited.states.contexts, found.visited.states.observations["direction"].reshape(-1))
    one = Collection(num_episodes=1, max_rows=20, num_levels=1)
    with pytest.raises(UserError, match="must give one integer for each"):
        collect(agent, env_id, seed=0, collection=one, context_of=lambda seen: seen["image"])
    with pytest.raises(UserError, match="fails with KeyError: 'nothing'; it is given the arrays .*image"):
        collect(agent, env_id, seed=0, collection=one, context_of=lambda seen: seen["nothing"])


def test_a_users_own_context_finds_its_pairs_where_it_is_a_cell_of_the_state() -> None:
    agent = new_agent(MULTI, SMALL)

    def second_need(seen: dict) -> np.ndarray:
        return 1 - seen["vector"].argmax(axis=1)

    theirs = collect(agent, MULTI, seed=3, collection=FEW, options=SMALL)
    own = collect(agent, MULTI, seed=3, collection=FEW, options=SMALL, context_of=second_need)
    np.testing.assert_array_equal(np.sort(own.table.optimal[:, 0]), np.sort(theirs.table.optimal[:, 1]))
    assert own.table.context_names == ("context 0", "context 1")


def test_controls_are_kept_by_code_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUELAB_CACHE", str(tmp_path))
    calls = []

    def compute() -> dict[str, float]:
        calls.append(1)
        return {"fvu": 0.25, "undefined": math.nan}

    for version, expected in (("a", 1), ("a", 1), ("b", 2)):
        outcome = controls.cached_control("a dozen Gaussians", version, compute)
        assert len(calls) == expected and outcome["fvu"] == 0.25 and math.isnan(outcome["undefined"])
    for path in (tmp_path / "controls").iterdir():
        path.write_text("damaged")
    assert controls.cached_control("a dozen Gaussians", "a", compute)["fvu"] == 0.25 and len(calls) == 3
    assert controls.code_version(controls) == controls.code_version(controls) != controls.code_version(registry)


def test_unknown_instruments_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="There is no instrument 'telepathy'"):
        registry.instruments(["telepathy"])
