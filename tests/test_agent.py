"""The agent: the regimes of V's encoder, deterministic building, sizes, and settings that are refused."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.agent import AlphaAgent, build_agent, num_actions_of, restart_value, with_value_encoder
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, TrainConfig, ValueConfig
from agents.fields import settings_from_dict, settings_to_dict
from agents.networks import ENCODERS
from envs.errors import UserError
from shards.registry import HEADS

SPACE = spaces.Dict(planes=spaces.Box(0, 1, (6, 9, 9), np.uint8), vector=spaces.Box(0, 1, (4,), np.float32))
KNOWN = {"num_contexts": 4, "num_events": 4, "component_weights": (1.0, 0.0, -0.5, 1.0, 1.0)}


def make(seed: int = 0, **settings: object) -> AlphaAgent:
    return build_agent(SPACE, 4, AgentConfig(**settings), seed=seed)  # type: ignore[arg-type]


def sample(*lead: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 2, (*lead, 6, 9, 9), dtype=np.uint8)
    return {"planes": planes, "vector": rng.random((*lead, 4), dtype=np.float32)}


def vector(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def size(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("head", HEADS)
def test_every_encoder_carries_every_head(encoder: str, head: str) -> None:
    agent = make(encoder=encoder, head=head, **KNOWN)
    context = torch.tensor([0, 1, 2]) if agent.value_head.needs_context else None
    estimate = agent.value(sample(3), context=context)
    assert agent.policy_logits(sample(3)).shape == (3, 4)
    assert estimate.value.shape == (3,) and bool(torch.isfinite(estimate.value).all())
    torch.testing.assert_close(estimate.unit_contributions.sum(1) + agent.value_head.bias, estimate.value)


@pytest.mark.parametrize("head", HEADS)
def test_value_networks_have_about_fifty_thousand_parameters_within_two_percent_of_each_other(head: str) -> None:
    agent, mono = make(head=head, **KNOWN), make()
    assert 40_000 < size(mono.value_encoder, mono.value_head) < 60_000
    assert abs(size(agent.value_head) / size(mono.value_head) - 1) <= 0.02


def test_scratch_starts_where_ds_encoder_started_and_goes_its_own_way() -> None:
    agent = make(value_encoder="scratch")
    assert not agent.shared
    assert torch.equal(vector(agent.value_encoder), vector(agent.policy_encoder))
    agent.value(sample(2)).value.sum().backward()
    assert all(parameter.grad is None for parameter in agent.policy_encoder.parameters())
    assert any(parameter.grad is not None for parameter in agent.value_encoder.parameters())
    trained = copy.deepcopy(agent)
    for parameter in trained.policy_encoder.parameters():
        parameter.data.mul_(2.0)
    again = with_value_encoder(trained, "scratch")
    assert torch.equal(vector(again.value_encoder), vector(agent.value_encoder)), "not D's trained weights"


def test_imitated_is_a_frozen_copy_of_ds_encoder_as_it_is_now() -> None:
    agent = make()
    for parameter in agent.policy_encoder.parameters():
        parameter.data.add_(0.1)
    imitated = with_value_encoder(agent, "imitated")
    assert not imitated.shared and imitated.config.value_encoder == "imitated"
    assert torch.equal(vector(imitated.value_encoder), vector(agent.policy_encoder))
    assert not any(parameter.requires_grad for parameter in imitated.value_encoder.parameters())
    assert all(parameter.requires_grad for parameter in imitated.policy_encoder.parameters())
    imitated.value(sample(2)).value.sum().backward()
    assert all(parameter.grad is None for parameter in imitated.value_encoder.parameters())


def test_shared_is_the_same_object_also_in_copies_and_with_memory() -> None:
    agent = make(value_encoder="shared", encoder="gru")
    for one in (agent, copy.deepcopy(agent), restart_value(agent), agent.to("cpu")):
        assert one.shared and one.value_encoder is one.policy_encoder
        assert torch.equal(one.features_of_value(sample(2))[0], one.policy(sample(2)).features)


def test_the_first_agent_is_left_as_it_was() -> None:
    agent = make()
    before = vector(agent)
    for other in (
        with_value_encoder(agent, "shared"),
        with_value_encoder(agent, "imitated"),
        restart_value(agent, seed=9),
    ):
        for parameter in other.parameters():
            parameter.data.zero_()
    assert torch.equal(vector(agent), before) and agent.config.value_encoder == "scratch"


def test_restarting_v_draws_its_head_anew_and_leaves_d() -> None:
    agent = make()
    trained = copy.deepcopy(agent)
    for parameter in trained.parameters():
        parameter.data.add_(0.5)
    same, other = restart_value(trained), restart_value(trained, seed=1)
    assert torch.equal(vector(same.value_head), vector(agent.value_head))
    assert not torch.equal(vector(other.value_head), vector(agent.value_head))
    assert torch.equal(vector(other.policy_encoder), vector(trained.policy_encoder))
    assert torch.equal(vector(other.policy_head), vector(trained.policy_head))


def test_equal_arguments_give_equal_agents_whatever_the_global_generators_did() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = make(seed=3, head="MOE")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(vector(make(seed=3, head="MOE")), vector(first))
    assert not torch.equal(vector(make(seed=4, head="MOE")), vector(first))


def test_arms_of_one_seed_share_every_weight_but_the_heads() -> None:
    mono, moe = make(head="MONO"), make(head="MOE", **KNOWN)
    for name in ("policy_encoder", "policy_head", "baseline_head", "value_encoder"):
        assert torch.equal(vector(getattr(mono, name)), vector(getattr(moe, name)))


def test_observations_encoded_once_give_the_same_bits() -> None:
    agent = make()
    encoded = agent.encode(sample(5))
    assert torch.equal(agent.policy_logits(encoded), agent.policy_logits(sample(5)))
    assert torch.equal(agent.value(encoded).value, agent.value(sample(5)).value)
    assert agent.encode(encoded) is encoded
    # Matrix products of other batch sizes add in another order, so that only closeness can be asked of a slice.
    torch.testing.assert_close(agent.policy_logits(encoded[2:4]), agent.policy_logits(encoded)[2:4])


def test_memory_reaches_policy_and_value_in_step_and_in_sequence() -> None:
    agent = make(encoder="gru")
    sequence, starts = sample(4, 2), torch.zeros(4, 2, dtype=torch.bool)
    unrolled = agent.unroll_policy(sequence, None, starts)
    features, _ = agent.unroll_features_of_value(sequence, None, starts)
    policy_memory = value_memory = None
    for t in range(4):
        step = {name: part[t] for name, part in sequence.items()}
        output = agent.policy(step, policy_memory)
        step_features, next_memory = agent.features_of_value(step, value_memory)
        torch.testing.assert_close(output.logits, unrolled.logits[t])
        torch.testing.assert_close(step_features, features[t])
        torch.testing.assert_close(agent.value(step, value_memory).value, agent.value_head(features[t]).value)
        policy_memory, value_memory = output.memory, next_memory


def test_a_shared_agent_counts_its_encoder_once() -> None:
    assert size(make(value_encoder="shared")) == size(make()) - size(make().value_encoder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "mpl"}, "Did you mean 'mlp'"),
        ({"head": "MONOO"}, "Did you mean 'MONO'"),
        ({"head": "POS"}, "num_contexts is 0"),
        ({"head": "ROUTE"}, "num_events is 0"),
    ],
)
def test_agents_that_cannot_be_built_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**settings)


def test_actions_must_be_discrete_and_count_from_zero() -> None:
    assert num_actions_of(spaces.Discrete(7)) == 7
    for space in (spaces.Box(-1, 1, (2,)), spaces.MultiDiscrete([2, 2]), spaces.Discrete(3, start=1)):
        with pytest.raises(UserError, match="wrap the env"):
            num_actions_of(space)


@pytest.mark.parametrize(
    ("make_settings", "message"),
    [
        (lambda: AgentConfig(value_encoder="share"), r"AgentConfig.value_encoder is 'share'.*Did you mean 'shared'"),
        (lambda: AgentConfig(hidden_size=0), "hidden_size is 0; it must be a whole number from 1"),
        (lambda: AgentConfig(encoder_sizes=()), "at least one width"),
        (lambda: AgentConfig(encoder_sizes=(64, -1)), "encoder_sizes"),
        (lambda: AgentConfig(encoder_sizes=[64]), "a tuple"),
        (lambda: ImitationConfig(learning_rate=float("nan")), "learning_rate is nan"),
        (lambda: ImitationConfig(num_updates=True), "num_updates is True"),
        (lambda: ReinforceConfig(discount=1.5), "discount is 1.5; it must be a number from 0 to 1"),
        (lambda: ReinforceConfig(num_envs=2.0), "num_envs is 2.0"),
        (lambda: ValueConfig(target="td"), "'monte_carlo', 'td_lambda'"),
        (lambda: TrainConfig(stages=("imitate", "reinforced")), "Did you mean 'reinforce'"),
        (lambda: TrainConfig(stages=()), r"stages is \(\); it must be one or more of imitate, reinforce, value"),
        (lambda: TrainConfig(stages=("value", "value")), "each once and in this order"),
        (lambda: TrainConfig(stages=("reinforce", "imitate")), "each once and in this order"),
        (lambda: TrainConfig(demonstration_shares=(0.5, 0.5)), "three numbers that sum to 1"),
        (lambda: TrainConfig(demonstration_shares=(0.5, 0.5, 0.5)), "three numbers that sum to 1"),
        (lambda: TrainConfig(demonstration_shares=(0.5, 0.5, 0.0)), "demonstration_noise is 0.0; .* gives 0.5"),
        (lambda: TrainConfig(demonstration_shares=(0.5, 0.0, 0.5)), "demonstration_temperature is 0.0; .* above 0"),
        (lambda: TrainConfig(demonstration_temperature=-1.0), "demonstration_temperature is -1.0"),
        (lambda: TrainConfig(seed=-1), "seed is -1"),
        (lambda: settings_from_dict(AgentConfig, {"hiden_size": 3}), "Did you mean 'hidden_size'"),
        (lambda: settings_from_dict(TrainConfig, {"agent": {"encoder": 3}}), "encoder is 3; it must be a string"),
        (lambda: settings_from_dict(TrainConfig, [1]), "mapping"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(make_settings, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=message) as caught:
        make_settings()
    assert not re.search("\n", str(caught.value))


def test_settings_survive_json() -> None:
    settings = TrainConfig(agent=AgentConfig(head="MOE", encoder_sizes=(32,)), stages=("value",), seed=2**60)
    assert settings_from_dict(TrainConfig, json.loads(json.dumps(settings_to_dict(settings)))) == settings


def test_settings_are_read_without_torch_or_numba() -> None:
    code = "import sys, agents.config; print(sorted({'torch', 'numba', 'numpy'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
