"""The written-out gradient of V is autograd's, for every head, credit and mixer; and the kernels under it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_active_inputs import WORLDS, make_agent, shown_in

from agents.active_inputs import ActiveInputs
from agents.agent import AlphaAgent
from agents.dense_value import AutogradValue, DenseValue, value_learner
from agents.part_kernels import read_parts, spread_parts
from agents.value_tops import AutogradTop, SquaredTop, top_of
from shards.monolith import Monolith
from shards.value_head import ValueEstimate, ValueHead, ValueTargets

NUM_ROWS = 120
HEADS: dict[str, dict[str, Any]] = {
    "MONO": {"head": "MONO"},
    "MONO-ROUTE": {"head": "MONO-ROUTE", "route_encoder": "routed"},
    "MONO-ROUTE, global E": {"head": "MONO-ROUTE", "route_encoder": "global"},
    "MONO-ROUTE, stopped": {"head": "MONO-ROUTE", "route_encoder": "stopped"},
    "MOE": {"head": "MOE"},
    "MOE, sigmoid": {"head": "MOE", "mixer": "sigmoid"},
    "MOE, max": {"head": "MOE", "mixer": "max"},
    "MOE, top-k": {"head": "MOE", "mixer": "top-k", "num_active": 2},
    "MOE, auction": {"head": "MOE", "mixer": "auction"},
    "MOE, sum": {"head": "MOE", "mixer": "sum"},
    "ROUTE": {"head": "ROUTE", "route_encoder": "routed"},
    "ROUTE, gate": {"head": "ROUTE", "route_encoder": "routed", "route_gate": True},
    "ROUTE, global E": {"head": "ROUTE", "route_encoder": "global"},
    "ROUTE, stopped": {"head": "ROUTE", "route_encoder": "stopped"},
    "ROUTE, sigmoid, global E": {"head": "ROUTE", "route_encoder": "global", "mixer": "sigmoid"},
    "HRA": {"head": "HRA", "component_weights": (1.0, 0.5, 1.0, 2.0)},
    "POS": {"head": "POS"},
    "POS, leak": {"head": "POS", "gate_leak": 0.25},
    "NEG-F": {"head": "NEG-F"},
    "NEG-2": {"head": "NEG-2"},
}
WRITTEN = {"MONO", "MONO-ROUTE", "MONO-ROUTE, global E", "MOE", "MOE, sum", "ROUTE", "ROUTE, gate", "ROUTE, global E"}
WRITTEN |= {"POS", "POS, leak", "MONO-ROUTE, stopped", "ROUTE, stopped"}


def agent_with(name: str, **options: Any) -> AlphaAgent:
    """An agent on MultiNeed whose gates and output weights are of all signs and sizes."""
    counts = {"num_parts": 4, "num_events": 4, "num_contexts": 4}
    agent = make_agent(WORLDS["MultiNeed"], hidden_size=40, encoder_sizes=(24, 16), **counts, **HEADS[name], **options)
    generator = torch.Generator().manual_seed(1)
    for parameter in agent.value_head.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return agent


def targets_of(agent: AlphaAgent) -> ValueTargets:
    """Everything that a head may ask for; some labels are withheld."""
    generator = torch.Generator().manual_seed(2)
    parts = agent.value_head.num_parts
    share = torch.rand(NUM_ROWS, 4, generator=generator)
    share = share / share.sum(dim=1, keepdim=True)
    share[::7] = torch.nan
    return ValueTargets(
        total=torch.randn(NUM_ROWS, generator=generator), components=torch.randn(NUM_ROWS, parts, generator=generator),
        event_share=share, bootstrap_mask=torch.rand(NUM_ROWS, parts, generator=generator) < 0.5,
        context=torch.randint(4, (NUM_ROWS,), generator=generator),
    )  # fmt: skip


def active_inputs(agent: AlphaAgent) -> ActiveInputs:
    inputs = agent.encode(shown_in(WORLDS["MultiNeed"], NUM_ROWS, seed=3), active=True).inputs
    assert isinstance(inputs, ActiveInputs)
    return inputs


@pytest.mark.parametrize("trains_encoder", [True, False])
@pytest.mark.parametrize("name", HEADS)
def test_loss_and_gradients_are_those_of_autograd(name: str, trains_encoder: bool) -> None:
    agent = agent_with(name)
    head, encoder = agent.value_head, agent.value_encoder
    inputs: Any = active_inputs(agent)
    if not trains_encoder:
        inputs, encoder = encoder(inputs)[0].detach(), None
    parameters = [*head.parameters(), *(() if encoder is None else encoder.parameters())]
    written, expected = value_learner(head, encoder, inputs), AutogradValue(head, encoder)
    assert isinstance(written, DenseValue)
    assert isinstance(written.top, SquaredTop if name in WRITTEN else AutogradTop)
    ours = written(inputs, targets_of(agent), parameters)
    theirs = expected(inputs, targets_of(agent), parameters)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    torch.testing.assert_close(ours.to_values, theirs.to_values, atol=1e-6, rtol=1e-4)
    for own, other in zip(ours.gradients, theirs.gradients, strict=True):
        torch.testing.assert_close(own, other, atol=2e-6, rtol=2e-4)
    reached = [float(gradient.abs().sum()) > 0 for gradient in ours.gradients]
    learning = len(parameters) if head.credit_rule.reaches_features else len(list(head.parameters()))
    assert learning - 1 <= sum(reached) <= learning


def test_a_flat_control_without_its_penalty_is_written_out() -> None:
    agent = agent_with("NEG-F")
    head = agent.value_head
    head.credit_rule = dataclasses.replace(head.credit_rule, penalty_weight=0.0)  # type: ignore[type-var]
    assert isinstance(top_of(head), SquaredTop)
    features, parameters = torch.randn(NUM_ROWS, head.num_features), list(head.parameters())
    ours = DenseValue(head, None)(features, targets_of(agent), parameters)
    theirs = AutogradValue(head, None)(features, targets_of(agent), parameters)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    for own, other in zip(ours.gradients, theirs.gradients, strict=True):
        torch.testing.assert_close(own, other, atol=2e-6, rtol=2e-4)


@pytest.mark.parametrize("options", [{"head": "MONO", "head_layers": 2}, {"head": "ROUTE", "reflection": True}])
def test_other_networks_learn_by_autograd(options: dict[str, Any]) -> None:
    agent = make_agent(WORLDS["MultiNeed"], hidden_size=64, num_parts=4, **options)
    assert isinstance(value_learner(agent.value_head, agent.value_encoder, active_inputs(agent)), AutogradValue)


class Scaled(Monolith):
    """A head of a user's: twice a monolith, which no fast path may take for one."""

    def forward(self, features: torch.Tensor, context: torch.Tensor | None = None) -> ValueEstimate:
        return super().forward(2.0 * features, context)


class Plain(ValueHead):
    """A head as the manual asks for it, with no stack."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, torch.zeros(num_features, dtype=torch.int64), PlainCredit())
        self.weight = torch.nn.Parameter(torch.ones(1, num_features))
        torch.nn.init.zeros_(self.bias)

    def forward(self, features: torch.Tensor, context: torch.Tensor | None = None) -> ValueEstimate:
        hidden = self.enter(features).relu().unsqueeze(1)
        parts = (hidden * self.weight).sum(-1)
        return ValueEstimate(parts[:, 0] + self.bias, parts, torch.ones_like(parts), hidden, self.weight)

    def reset_parameters(self, generator: torch.Generator) -> None:
        torch.nn.init.ones_(self.weight)


class PlainCredit:
    """A rule as the manual asks for it: a function, and where it goes."""

    reaches_features, splits_features = True, False

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: torch.Tensor) -> torch.Tensor:
        return (estimate.value - targets.total).abs().mean()


def test_heads_and_rules_of_a_user_learn_by_autograd() -> None:
    agent = agent_with("MONO")
    inputs, head = active_inputs(agent), agent.value_head
    assert isinstance(value_learner(Plain(16), agent.value_encoder, inputs), AutogradValue)
    head.credit_rule = PlainCredit()  # type: ignore[assignment]
    assert isinstance(top_of(head), AutogradTop)
    parameters = [*head.parameters(), *agent.value_encoder.parameters()]
    ours = value_learner(head, agent.value_encoder, inputs)(inputs, targets_of(agent), parameters)
    theirs = AutogradValue(head, agent.value_encoder)(inputs, targets_of(agent), parameters)
    for own, other in zip(ours.gradients, theirs.gradients, strict=True):
        torch.testing.assert_close(own, other, atol=2e-6, rtol=2e-4)


def test_a_subclass_is_not_taken_for_what_it_is_made_of() -> None:
    agent = agent_with("MONO")
    agent.value_head.__class__ = Scaled
    features, parameters = torch.randn(NUM_ROWS, 16), list(agent.value_head.parameters())
    ours = value_learner(agent.value_head, None, features)(features, targets_of(agent), parameters)
    theirs = AutogradValue(agent.value_head, None)(features, targets_of(agent), parameters)
    for own, other in zip(ours.gradients, theirs.gradients, strict=True):
        torch.testing.assert_close(own, other, atol=2e-6, rtol=2e-4)


def test_written_out_credit_refuses_what_it_does_not_read() -> None:
    agent = agent_with("MOE")
    features, parameters = torch.randn(NUM_ROWS, 16), list(agent.value_head.parameters())
    learn, told = value_learner(agent.value_head, None, features), targets_of(agent)
    with pytest.raises(ValueError, match="valid"):
        learn(features, dataclasses.replace(told, valid=torch.ones(NUM_ROWS, dtype=torch.bool)), parameters)
    with pytest.raises(ValueError, match="total"):
        learn(features, dataclasses.replace(told, total=told.total[:-1]), parameters)


def test_whole_inputs_are_learned_from_by_autograd() -> None:
    agent = agent_with("MOE")
    whole = agent.encode(shown_in(WORLDS["MultiNeed"], NUM_ROWS, seed=3)).matrix
    assert isinstance(value_learner(agent.value_head, agent.value_encoder, whole), AutogradValue)


def test_what_is_not_finite_is_seen_in_the_loss() -> None:
    agent = agent_with("MOE")
    features = torch.randn(NUM_ROWS, agent.value_head.num_features)
    features[3, 2] = torch.nan
    learned = DenseValue(agent.value_head, None)(features, targets_of(agent), list(agent.value_head.parameters()))
    assert np.isnan(learned.loss)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 9), parts=st.integers(1, 5), size=st.integers(1, 40), seed=st.integers(0, 99))
def test_kernels_over_parts_are_their_formulas(rows: int, parts: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return rng.normal(size=shape).astype(np.float32)

    reached, beside, weight, slope = *(draw(rows, parts * size) for _ in range(2)), draw(parts, size), draw(rows, parts)
    hidden, values = reached.copy(), np.empty((rows, parts), np.float32)
    read_parts(hidden, weight, values)
    by_part = np.maximum(reached, 0).reshape(rows, parts, size)
    np.testing.assert_array_equal(hidden, by_part.reshape(rows, -1))
    np.testing.assert_allclose(values, (by_part * weight).sum(-1), rtol=1e-4, atol=1e-5)
    for other in (np.empty((0, 0), np.float32), beside):
        out = np.empty_like(hidden), np.zeros_like(weight), np.zeros(parts * size, np.float32)
        spread_parts(slope, hidden, weight, other, out)
        expected = (slope[:, :, None] * weight).reshape(rows, -1) + (other if other.size else 0)
        expected *= hidden > 0
        np.testing.assert_allclose(out[0], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(out[1], (slope[:, :, None] * by_part).sum(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(out[2], expected.sum(0), rtol=1e-4, atol=1e-5)
