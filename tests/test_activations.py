"""Sites of networks: what is read there is what the network computes, and edits do what they say and nothing else."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from torch import Tensor, nn

from agents.agent import AlphaAgent, build_agent, num_actions_of
from agents.config import AgentConfig
from agents.environments import import_package_of
from agents.sb3 import ValueLabPolicy
from agents.search import NetworkEvaluator, SearchConfig, search
from agents.value_actor import action_values
from analysis.instruments.activations import (
    edited,
    mean_ablate,
    only,
    patch,
    random_like,
    read,
    resample_ablate,
    split_by_readout,
    steer,
)
from analysis.instruments.sites import find_site, sites_of
from envs.errors import UserError
from envs.registry import make_world
from envs.states import Rows
from envs.step_buffers import observation_space

WORLD = make_world("MultiNeed", size=4, num_objects=2)
BUILDS: dict[str, dict[str, Any]] = {
    "MONO": {"head": "MONO", "head_layers": 2},
    "MOE": {"head": "MOE", "encoder": "conv", "conv_channels": (4, 6), "head_layers": 3},
    "ROUTE": {"head": "ROUTE", "value_encoder": "shared"},
    "POS": {"head": "POS", "encoder": "gru", "memory_size": 12},
    "NEG-F": {"head": "NEG-F", "encoder_sizes": (16,)},
}


@functools.cache
def rows() -> Rows:
    return WORLD.begin(np.arange(24), np.arange(24) % 2)


@functools.cache
def observed() -> dict[str, np.ndarray]:
    return WORLD.observe(rows())


def contexts_of_rows() -> Tensor:
    return torch.from_numpy(WORLD.context_of(rows()))


def make(name: str) -> AlphaAgent:
    config = AgentConfig(**{"encoder_sizes": (16, 12), "hidden_size": 20, "num_contexts": 2, "num_events": 2,
                            "num_parts": 2 if name == "MOE" else None, **BUILDS[name]})  # fmt: skip
    agent = build_agent(observation_space(WORLD), WORLD.num_actions, config, seed=3, sample=observed())
    for parameter in agent.parameters():  # biases and gates start at 0, where nothing can be seen
        with torch.no_grad():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return agent


def run(agent: AlphaAgent, seen: Any = None, contexts: Tensor | None = None) -> dict[str, Tensor]:
    seen = observed() if seen is None else seen
    with torch.no_grad():
        estimate = agent.value(seen, context=contexts_of_rows() if contexts is None else contexts)
        return {"value": estimate.value, "parts": estimate.part_values, "logits": agent.policy_logits(seen),
                "hidden": estimate.hidden, "weights": estimate.weights}  # fmt: skip


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def num_hooks(network: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


@pytest.fixture(params=BUILDS)
def agent(request: pytest.FixtureRequest) -> AlphaAgent:
    return make(request.param)


class TestSites:
    def test_names(self) -> None:
        assert list(sites_of(make("MOE"))) == [
            "policy_encoder.conv_0", "policy_encoder.conv_1", "policy_encoder.0", "policy_encoder.1",
            "policy_head.features", "policy_head.logits",
            "value_encoder.conv_0", "value_encoder.conv_1", "value_encoder.0", "value_encoder.1",
            "value_head.features", "value_head.hidden_0", "value_head.hidden_1", "value_head.hidden",
            "value_head.part_0.hidden", "value_head.part_1.hidden", "value_head.parts", "value_head.part_0",
            "value_head.part_1", "value_head.gate",
        ]  # fmt: skip

    def test_every_site_is_read(self, agent: AlphaAgent) -> None:
        found = read(agent, list(sites_of(agent)), lambda: run(agent))
        # A shared encoder runs for V and for D.
        twice = {name for name in found if agent.shared and "encoder" in name}
        assert all(len(found[name]) == len(rows()) * (2 if name in twice else 1) for name in found)

    def test_what_is_read_is_what_the_network_says(self, agent: AlphaAgent) -> None:
        plain = run(agent)
        names = ["value_head.hidden", "value_head.parts", "value_head.part_0", "policy_head.logits"]
        found = read(agent, names, lambda: run(agent))
        assert torch.equal(found["value_head.hidden"], plain["hidden"])
        assert torch.equal(found["value_head.parts"], plain["parts"])
        assert torch.equal(found["value_head.part_0"], plain["parts"][:, :1])
        assert torch.equal(found["policy_head.logits"], plain["logits"])

    def test_channels_are_those_of_the_convolutions(self) -> None:
        agent = make("MOE")
        encoder = agent.value_encoder
        found = read(agent, ["value_encoder.conv_0", "value_encoder.conv_1"], lambda: run(agent))
        with torch.no_grad():
            planes = agent.encode(observed()).matrix[:, : 4 * 36].reshape(-1, 4, 6, 6)
            first = encoder.convolutions[0](planes).relu()
            second = encoder.convolutions[1](first).relu()
        assert torch.equal(found["value_encoder.conv_0"], first) and first.shape == (24, 4, 6, 6)
        assert torch.equal(found["value_encoder.conv_1"], second) and second.shape == (24, 6, 3, 3)

    def test_an_unknown_site_names_the_nearest(self) -> None:
        with pytest.raises(UserError, match=r"no site 'value_head.hiden'.*Did you mean 'value_head.hidden'\?"):
            find_site(make("MONO"), "value_head.hiden")

    def test_no_network(self) -> None:
        with pytest.raises(UserError, match=r"`model.policy`"):
            sites_of(object())  # type: ignore[arg-type]
        with pytest.raises(UserError, match="no site"):
            sites_of(nn.ReLU())


class TestEdits:
    def test_a_patch_by_the_own_activation_changes_no_bit(self, agent: AlphaAgent) -> None:
        plain = run(agent)
        for name in sites_of(agent):
            own = read(agent, [name], lambda: run(agent))[name][: len(rows())]
            with edited(agent, {name: patch(own)}):
                assert equal(run(agent), plain), name
            with edited(agent, {name: lambda before: before.clone()}):
                assert equal(run(agent), plain), name
        assert equal(run(agent), plain) and num_hooks(agent) == 0

    def test_every_site_has_an_effect_and_only_downstream(self, agent: AlphaAgent) -> None:
        plain = run(agent)
        for name in sites_of(agent):
            with edited(agent, {name: lambda before: before + 1.0}):
                found = run(agent)
            reaches_value = name.startswith("value") or agent.shared and "encoder" in name
            reaches_policy = name.startswith("policy") or agent.shared and "encoder" in name
            if not name.endswith("gate"):  # the softmax of a gate does not see a common shift
                assert torch.equal(found["value"], plain["value"]) != reaches_value, name
            assert torch.equal(found["logits"], plain["logits"]) != reaches_policy, name

    def test_a_patch_at_the_features_gives_the_other_states_values(self, agent: AlphaAgent) -> None:
        """V of a state is a function of what V reads: patched from another state, it is that state's V."""
        order = torch.arange(len(rows())).roll(1)
        features = read(agent, ["value_head.features"], lambda: run(agent))["value_head.features"]
        with edited(agent, {"value_head.features": patch(features[order])}):
            found = run(agent, contexts=contexts_of_rows()[order])
        torch.testing.assert_close(found["value"], run(agent)["value"][order])

    def test_a_parts_edit_leaves_the_other_parts(self) -> None:
        for name in ("MOE", "POS", "ROUTE"):
            agent = make(name)
            plain = run(agent)
            for site in ("value_head.part_1.hidden", "value_head.part_1"):
                with edited(agent, {site: steer(torch.tensor(2.0))}):
                    found = run(agent)
                assert torch.equal(found["parts"][:, 0], plain["parts"][:, 0])
                assert not torch.equal(found["parts"][:, 1], plain["parts"][:, 1])

    def test_steering_a_part_moves_the_value_by_its_weight(self) -> None:
        agent = make("MOE")
        plain = run(agent)
        with edited(agent, {"value_head.part_1": steer(torch.tensor(1.0), scale=3.0)}):
            found = run(agent)
        torch.testing.assert_close(found["value"] - plain["value"], 3.0 * plain["weights"][:, 1], atol=1e-5, rtol=0)

    def test_steering_along_a_null_direction_of_the_readout_changes_nothing(self) -> None:
        """The head reads its last hidden layer through one row of weights; a direction orthogonal to it is not seen."""
        agent = make("MONO")
        plain, readout = run(agent)["value"], agent.value_head.parts.output_weight.detach()
        vector = 5.0 * torch.randn(readout.shape[1], generator=torch.Generator().manual_seed(0))
        seen, unseen = split_by_readout(vector, readout)
        torch.testing.assert_close(seen + unseen, vector)
        shifts = {}
        for name, part in (("whole", vector), ("seen", seen), ("unseen", unseen)):
            with edited(agent, {"value_head.hidden": steer(part)}):
                shifts[name] = run(agent)["value"] - plain
        torch.testing.assert_close(shifts["unseen"], torch.zeros_like(plain), atol=1e-5, rtol=0)
        torch.testing.assert_close(shifts["seen"], shifts["whole"], atol=1e-5, rtol=0)
        torch.testing.assert_close(shifts["whole"], (readout[0] @ vector).expand_as(plain), atol=1e-5, rtol=0)

    def test_a_readout_of_dependent_rows_is_split_by_their_span(self) -> None:
        row = torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
        seen, unseen = split_by_readout(torch.eye(6), torch.cat([row, 2 * row]))
        torch.testing.assert_close(seen, row.T @ row / row.square().sum())
        assert (unseen @ row.T).abs().max() < 1e-6

    def test_random_like_keeps_norms_and_follows_its_seed(self) -> None:
        vectors = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
        found = random_like(vectors, seed=1)
        torch.testing.assert_close(found.norm(dim=-1), vectors.norm(dim=-1))
        assert torch.equal(found, random_like(vectors, seed=1)) and not torch.equal(found, random_like(vectors, seed=2))
        assert not torch.equal(found[0] / found[0].norm(), found[1] / found[1].norm())

    def test_means_overall_and_within_contexts(self) -> None:
        reference, name = torch.arange(8.0).reshape(4, 2), torch.tensor([5, 7, 5, 7])
        before = torch.zeros(3, 2)
        overall = mean_ablate(reference)(before)
        assert overall.tolist() == [[3.0, 4.0]] * 3
        within = mean_ablate(reference, reference_contexts=name, contexts=torch.tensor([7, 5, 7]))(before)
        assert within.tolist() == [[4.0, 5.0], [2.0, 3.0], [4.0, 5.0]]
        with pytest.raises(UserError, match=r"Context 6 has no reference state.*\[5, 7\]"):
            mean_ablate(reference, reference_contexts=name, contexts=torch.tensor([6]))
        with pytest.raises(UserError, match="give both"):
            mean_ablate(reference, contexts=name)

    def test_resampling_among_equal_states_is_the_identity(self, agent: AlphaAgent) -> None:
        one = {name: array[:1].repeat(6, axis=0) for name, array in observed().items()}
        contexts = contexts_of_rows()[:1].repeat(6)
        plain = run(agent, one, contexts)
        for name in sites_of(agent):
            same = read(agent, [name], lambda: run(agent, one, contexts))[name]
            with edited(agent, {name: resample_ablate(same, seed=4)}):
                found = run(agent, one, contexts)
            for key in plain:  # rows of one product may differ in the last bit, where the states are equal, too
                torch.testing.assert_close(found[key], plain[key], atol=1e-6, rtol=0)

    def test_resampling_draws_from_the_reference_by_seed(self) -> None:
        reference, before = torch.arange(50.0).unsqueeze(1), torch.zeros(200, 1)
        found = resample_ablate(reference, seed=0)(before)
        assert set(found.flatten().tolist()) <= set(range(50)) and len(found.unique()) > 40
        assert torch.equal(found, resample_ablate(reference, seed=0)(before))
        assert not torch.equal(found, resample_ablate(reference, seed=1)(before))

    def test_only_one_unit_or_channel_cell(self) -> None:
        before = torch.zeros(2, 3, 4, 4)
        after = only(steer(torch.tensor(5.0)), 1, 2, 3)(before)
        assert after[:, 1, 2, 3].tolist() == [5.0, 5.0] and after.sum() == 10.0 and before.sum() == 0.0

    def test_edits_are_read_where_they_were_made(self) -> None:
        agent = make("MONO")
        with edited(agent, {"value_encoder.0": only(patch(torch.full((1, 16), 7.0)), 3)}):
            found = read(agent, ["value_encoder.0"], lambda: run(agent))["value_encoder.0"]
        assert found[:, 3].eq(7.0).all() and not found[:, 2].eq(7.0).any()

    def test_later_edits_see_what_earlier_ones_leave(self) -> None:
        agent = make("MONO")
        with edited(agent, {"value_head.hidden": patch(torch.zeros(1, 1, 1).expand(1, 1, make_width(agent))),
                            "value_head.part_0.hidden": steer(torch.tensor(1.0))}):  # fmt: skip
            assert run(agent)["hidden"].eq(1.0).all()

    def test_action_values_see_edits(self) -> None:
        agent = make("ROUTE")
        plain = action_values(agent, WORLD, rows(), discount=0.9)
        with edited(agent, {"value_head.parts": patch(torch.zeros(1, 2))}):
            found = action_values(agent, WORLD, rows(), discount=0.9)
        outcomes = WORLD.expand(rows())
        alive = 0.9 * ~outcomes.terminated[:, :, 0] * agent.value_head.bias.item()
        rewards = (outcomes.components @ WORLD.reward_weights)[:, :, 0]
        np.testing.assert_allclose(found, rewards + alive, atol=1e-6)
        assert not np.allclose(plain, found)


class TestHooks:
    def test_they_are_gone_after_an_exception(self) -> None:
        agent = make("MONO")
        plain = run(agent)
        with pytest.raises(ZeroDivisionError), edited(agent, {"value_encoder.0": steer(torch.tensor(1.0))}):
            _ = 1 / 0
        one = steer(torch.tensor(1.0))
        for edits, message in (
            ({"value_encoder.1": patch(torch.zeros(3, 12))}, r"gives shape \(3, 12\), but \(24, 12\) passes"),
            ({"value_encoder.0": one, "nowhere": one}, "no site 'nowhere'"),
        ):
            with pytest.raises(UserError, match=message), edited(agent, edits):
                run(agent)
        assert num_hooks(agent) == 0 and equal(run(agent), plain)

    def test_a_site_that_never_ran_is_told(self) -> None:
        agent = make("MONO")
        with pytest.raises(UserError, match="'policy_encoder.0' never ran"):
            read(agent, ["policy_encoder.0"], lambda: agent.value(observed()))
        evaluator = NetworkEvaluator(agent, WORLD)
        edits = {"value_encoder.1": steer(torch.tensor(1.0))}
        with pytest.raises(UserError, match="'value_encoder.1' never ran"), edited(agent, edits):
            search(WORLD, rows()[:2], evaluator, config=SearchConfig(num_simulations=2))

    def test_sites_are_no_part_of_a_checkpoint(self) -> None:
        assert not [name for name in make("MOE").state_dict() if "site" in name]


class TestForeignNetworks:
    """Policies of Stable-Baselines3 and agents in worlds that are not ours."""

    @pytest.fixture
    def policy(self) -> nn.Module:
        return PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu").policy

    seen = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))

    def test_the_sites_of_ppo(self, policy: nn.Module) -> None:
        assert list(sites_of(policy)) == [
            "features_extractor.flatten",
            "mlp_extractor.policy_net.0", "mlp_extractor.policy_net.1",
            "mlp_extractor.policy_net.2", "mlp_extractor.policy_net.3",
            "mlp_extractor.value_net.0", "mlp_extractor.value_net.1",
            "mlp_extractor.value_net.2", "mlp_extractor.value_net.3",
            "action_net", "value_net",
        ]  # fmt: skip

    def test_ppo_is_read_and_edited(self, policy: Any) -> None:
        def run_policy() -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                return policy.predict_values(self.seen), policy.get_distribution(self.seen).distribution.logits

        plain = run_policy()
        hidden = read(policy, ["mlp_extractor.value_net.3"], run_policy)["mlp_extractor.value_net.3"]
        assert torch.equal(hidden, policy.mlp_extractor.value_net(self.seen))
        for name in sites_of(policy):
            own = read(policy, [name], run_policy)[name][:9]
            with edited(policy, {name: patch(own)}):
                found = run_policy()
            assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True)), name
        with edited(policy, {"mlp_extractor.value_net.3": mean_ablate(hidden)}):
            ablated = run_policy()
        assert ablated[0].std() < 1e-6 < plain[0].std() and torch.equal(ablated[1], plain[1])

    def test_dqn_is_edited(self) -> None:
        policy: Any = DQN("MlpPolicy", "CartPole-v1", seed=0, device="cpu", buffer_size=10).policy
        with torch.no_grad(), edited(policy, {"q_net.q_net.4": patch(torch.tensor([[0.0, 1.0]]))}):
            assert policy.q_net(self.seen).tolist() == [[0.0, 1.0]] * 9

    def test_our_agent_inside_of_ppo_has_its_own_sites(self) -> None:
        settings = {"config": AgentConfig(head="MOE", num_parts=2)}
        policy: Any = PPO(ValueLabPolicy, "CartPole-v1", policy_kwargs=settings, seed=0, device="cpu").policy
        assert "agent.value_head.part_1.hidden" in sites_of(policy)
        with torch.no_grad(), edited(policy, {"agent.value_head.parts": patch(torch.zeros(1, 2))}):
            assert policy.predict_values(self.seen).eq(policy.agent.value_head.bias).all()

    def test_what_is_patched_in_is_not_written_into(self) -> None:
        network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True))
        for given in (torch.tensor([[-1.0, 2.0, -3.0]]), -torch.ones(9, 3)):
            kept = given.clone()
            with torch.no_grad(), edited(network, {"0": patch(given)}):
                assert torch.equal(network(self.seen), kept.relu().expand(9, 3))
            assert torch.equal(given, kept)

    def test_what_is_no_tensor_is_told(self) -> None:
        network = nn.Sequential(nn.GRU(4, 5))
        with pytest.raises(UserError, match="At site '0' passes a tuple"):
            read(network, ["0"], lambda: network(self.seen))

    def test_an_agent_in_minigrid(self) -> None:
        import_package_of("MiniGrid-Empty-5x5-v0")
        env = gym.make("MiniGrid-Empty-5x5-v0")
        shown = [env.reset(seed=0)[0], *(env.step(action)[0] for action in (2, 1, 2, 2))]
        seen = {name: np.stack([one[name] for one in shown]) for name in ("image", "direction")}
        config = AgentConfig(encoder="conv", conv_channels=(4,), head="MOE", num_parts=2)
        agent = build_agent(env.observation_space, num_actions_of(env.action_space), config, seed=0, sample=seen)
        with torch.no_grad():
            plain = agent.value(seen).value
            channels = read(agent, ["value_encoder.conv_0"], lambda: agent.value(seen))["value_encoder.conv_0"]
            assert channels.shape == (5, 4, 7, 7)
            with edited(agent, {"value_encoder.conv_0": patch(channels[:1])}):
                value = agent.value({**seen, "direction": seen["direction"][:1].repeat(5)}).value
        torch.testing.assert_close(value, plain[:1].expand(5))


def make_width(agent: AlphaAgent) -> int:
    return int(agent.value_head.parts.output_weight.shape[1])


def test_edits_that_fail_say_where_and_references_that_do_not_fit_are_refused() -> None:
    mono = make("MONO")
    for edit in (steer(torch.ones(63)), only(patch(torch.zeros(1, 12)), 300)):
        with (
            pytest.raises(UserError, match=r"edit at 'value_head.features' fails: .*\(24, 12\) passes there"),
            edited(mono, {"value_head.features": edit}),
        ):
            run(mono)
    with pytest.raises(UserError, match="0 reference states"):
        mean_ablate(torch.zeros(0, 4))
    with pytest.raises(UserError, match="5 reference states and 3 contexts"):
        mean_ablate(torch.zeros(5, 4), reference_contexts=torch.zeros(3), contexts=torch.zeros(2))
