"""The written-out update gives autograd's loss and gradients, and sampling in one pass gives the plain choice."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_active_inputs import WORLDS, make_agent, shown_in

from agents.active_inputs import ActiveInputs
from agents.actors import mixed_probs
from agents.agent import AlphaAgent
from agents.config import ReinforceConfig
from agents.dense_update import Minibatch, Terms, is_dense, loss_and_gradients
from agents.policy_terms import policy_terms
from agents.sampling import sample_actions

NUM_ROWS = 200


def minibatch(agent: AlphaAgent, name: str) -> Minibatch:
    """Rows at which some ratios are clipped from either side."""
    inputs, generator = agent.encode(shown_in(WORLDS[name], NUM_ROWS, seed=3), active=True).inputs, torch.Generator()
    assert isinstance(inputs, ActiveInputs)
    return Minibatch(
        inputs, torch.randint(agent.num_actions, (NUM_ROWS,), generator=generator.manual_seed(0)),
        math.log(0.25) + 0.3 * torch.randn(NUM_ROWS, generator=generator),
        advantages=torch.randn(NUM_ROWS, generator=generator), targets=torch.randn(NUM_ROWS, generator=generator),
    )  # fmt: skip


def by_autograd(
    agent: AlphaAgent, batch: Minibatch, config: ReinforceConfig, *, only_baseline: bool
) -> tuple[Terms, dict[str, torch.Tensor]]:
    """The loss as `agents.learner` writes it, in torch's own operations."""
    features, _ = agent.policy_encoder(batch.inputs)
    policy_loss, spread, divergence = policy_terms(
        agent.policy_head(features), batch.actions, batch.old_log_probs, advantages=batch.advantages,
        clip=None if config.objective == "reinforce" else config.clip, fused=False,
    )  # fmt: skip
    seen = features.detach() if only_baseline else features
    baseline_loss = (agent.baseline_head(seen) - batch.targets).square().mean()
    loss = config.baseline_weight * baseline_loss
    if not only_baseline:
        loss = loss + policy_loss - config.entropy_weight * spread
    parts = ("policy_encoder", "policy_head", "baseline_head")
    named = {name: one for name, one in agent.named_parameters() if name.startswith(parts)}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True, materialize_grads=True)
    terms = Terms(*(one.item() for one in (loss, policy_loss, baseline_loss, spread, divergence)))
    return terms, dict(zip(named, found, strict=True))


@pytest.mark.parametrize("only_baseline", [False, True])
@pytest.mark.parametrize("objective", ["clipped", "reinforce"])
@pytest.mark.parametrize("sizes", [(32,), (32, 16), (16, 24, 8)])
@pytest.mark.parametrize("name", ["MultiNeed", "CornerMaze-9x9"])
def test_loss_and_gradients_are_autograds(
    name: str, sizes: tuple[int, ...], objective: str, only_baseline: bool
) -> None:
    agent = make_agent(WORLDS[name], encoder_sizes=sizes)
    with torch.no_grad():
        agent.policy_head.weight.mul_(50.0)
    config = dataclasses.replace(ReinforceConfig(entropy_weight=0.3), objective=objective)
    batch = minibatch(agent, name)
    terms, gradients = loss_and_gradients(agent, batch, config, only_baseline=only_baseline)
    expected_terms, expected = by_autograd(agent, batch, config, only_baseline=only_baseline)
    assert dataclasses.astuple(terms) == pytest.approx(dataclasses.astuple(expected_terms), rel=1e-4, abs=1e-6)
    parameters = dict(agent.named_parameters())
    for parameter, gradient in expected.items():
        found = gradients.get(parameters[parameter], torch.zeros_like(gradient))
        torch.testing.assert_close(found, gradient, atol=1e-5, rtol=1e-3, msg=parameter)
        assert only_baseline or gradient.abs().max() > 1e-4
    assert {id(one) for one in gradients} <= {id(parameters[parameter]) for parameter in expected}


def test_it_is_for_the_usual_agent_and_settings_alone() -> None:
    dense, config = make_agent(WORLDS["MultiNeed"]), ReinforceConfig()
    assert is_dense(dense, config)
    assert not is_dense(dense, dataclasses.replace(config, fast_kernels=False))
    assert not is_dense(dense, dataclasses.replace(config, share_value=True))
    assert not is_dense(make_agent(WORLDS["MultiNeed"], encoder="gru"), config)
    still = dataclasses.replace(config, train_encoder=False)
    _, gradients = loss_and_gradients(dense, minibatch(dense, "MultiNeed"), still, only_baseline=False)
    heads = [*dense.policy_head.parameters(), *dense.baseline_head.parameters()]
    assert {id(one) for one in gradients} == {id(one) for one in heads}


@settings(max_examples=50, deadline=None)
@given(num_actions=st.integers(1, 9), scale=st.floats(0.0, 30.0), seed=st.integers(0, 999))
def test_sampling_in_one_pass_gives_the_plain_choice(num_actions: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, uniform = scale * rng.normal(size=(50, num_actions)), rng.random(50)
    uniform[0] = 0.0
    actions, log_probs = sample_actions(logits, uniform)
    probs = mixed_probs(logits)
    cumulative = probs.cumsum(axis=1)
    sure = (np.abs(cumulative - uniform[:, None]) > 1e-12).all(axis=1)
    plain = (cumulative[:, :-1] <= uniform[:, None]).sum(axis=1)
    np.testing.assert_array_equal(actions[sure], plain[sure])
    np.testing.assert_allclose(log_probs, np.log(probs[np.arange(50), actions]), rtol=1e-5, atol=1e-6)
