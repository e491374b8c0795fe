"""T5's phase on small networks whose parts are known: what a leak of the gate lets through."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig
from agents.exact import value_table
from agents.optimization import DECAY_1, DECAY_2, EPSILON, FlatAdam, OneScaleAdam
from analysis.predictions import locality
from analysis.predictions.locality import Phase, interference, turn_round
from envs.registry import make_world
from envs.step_buffers import observation_space
from envs.tabular import enumerate_world

LEAKS = (0.0, 0.1, 0.25, 1.0)


def agent_of(head: str, leak: float = 0.0) -> AlphaAgent:
    """An untrained agent of MultiNeed: 16 features, 32 units."""
    world = make_world("MultiNeed")
    config = AgentConfig(encoder_sizes=(16,), hidden_size=32, head=head, num_contexts=4, num_parts=4, gate_leak=leak)
    return build_agent(observation_space(world), 4, config, seed=0)


def leaked(agent: AlphaAgent) -> float:
    """I of an agent whose first context is turned round, E frozen."""
    world = make_world("MultiNeed")
    rows = enumerate_world(world, [0]).rows
    inputs, contexts = agent.encode(world.observe(rows)).matrix, torch.from_numpy(world.context_of(rows))
    phase = Phase(inputs[contexts == 0], contexts[contexts == 0], None)
    after, _ = turn_round(agent, phase, free=False, batch_size=64, seed=0)
    return interference(value_table(agent, world, rows), value_table(after, world, rows), contexts.numpy() != 0)[0]


def test_what_a_gate_lets_through_grows_with_its_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disjoint parts leave each other alone exactly; a tenth of a leak lets little through, a whole one nearly all."""
    monkeypatch.setattr(locality, "MAX_STEPS", 500)
    found = [leaked(agent_of("POS", leak)) for leak in LEAKS]
    assert found[0] == 0.0
    assert all(less < more for less, more in zip(found, found[1:], strict=False))
    assert found[1] < 0.3 and found[-1] > 0.6


def test_a_network_without_parts_takes_its_other_contexts_along() -> None:
    assert leaked(agent_of("MONO")) > 0.6


@pytest.mark.parametrize(("optimizer", "ratio"), [(OneScaleAdam, 0.05), (FlatAdam, 1.0)])
def test_a_weight_with_a_twentieth_of_the_credit_moves_a_twentieth_as_far(
    optimizer: type[FlatAdam], ratio: float
) -> None:
    """Adam moves both alike, whatever they hear; with one scale the steps keep the gradient's proportions."""
    weights = nn.Parameter(torch.zeros(2))
    descent = optimizer([weights], max_grad_norm=1e9)
    for _ in range(20):
        descent.follow([torch.tensor([1.0, 0.05])], learning_rate=0.01, site="test")
    moved = weights.detach().numpy()
    assert moved[1] / moved[0] == pytest.approx(ratio, rel=1e-4)


def test_one_scale_is_the_formula_and_does_not_depend_on_the_unit_of_the_loss() -> None:
    rng, runs = np.random.default_rng(0), []
    gradients = rng.normal(size=(30, 3))
    for unit in (1.0, 1e4):
        weights = nn.Parameter(torch.ones(3, dtype=torch.float64))
        descent = OneScaleAdam([weights])
        for gradient in gradients:
            descent.follow([torch.from_numpy(unit * gradient)], learning_rate=0.1, site="test")
        runs.append(weights.detach().numpy().copy())
    expected, first, second = np.ones(3), np.zeros(3), 0.0
    for step, gradient in enumerate(gradients, start=1):
        first = DECAY_1 * first + (1 - DECAY_1) * gradient
        second = DECAY_2 * second + (1 - DECAY_2) * float(gradient @ gradient)
        scale = np.sqrt(second / (1 - DECAY_2**step)) + EPSILON
        expected -= 0.1 * first / (1 - DECAY_1**step) / scale
    assert runs[0] == pytest.approx(expected, rel=1e-12)
    assert runs[1] == pytest.approx(expected, rel=1e-6)
