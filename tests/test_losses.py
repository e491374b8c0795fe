"""Losses against hand-worked answers and torch's own distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agents.losses import (
    clipped_policy_loss,
    entropy,
    imitation_loss,
    log_probability,
    r_squared,
    relative_error,
    standardise,
)


def test_log_probability_and_entropy_equal_torch_distributions() -> None:
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    actions = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    reference = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(log_probability(logits, actions), reference.log_prob(actions))
    torch.testing.assert_close(entropy(logits), reference.entropy())
    torch.testing.assert_close(imitation_loss(logits, actions), -reference.log_prob(actions).mean())


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"), [(1.5, 1.0, 1.2), (1.5, -1.0, -1.5), (0.5, 1.0, 0.5), (0.5, -1.0, -0.8)]
)
def test_the_clip_takes_the_pessimistic_side(ratio: float, advantage: float, expected: float) -> None:
    loss = clipped_policy_loss(
        torch.tensor([math.log(ratio)]), torch.zeros(1), advantages=torch.tensor([advantage]), clip=0.2
    )
    assert loss.item() == pytest.approx(-expected)


def test_standardise_handles_equal_advantages() -> None:
    assert standardise(torch.full((4,), 3.0)).tolist() == [0, 0, 0, 0]
    scaled = standardise(torch.tensor([1.0, 2.0, 3.0]))
    assert scaled.mean().item() == pytest.approx(0, abs=1e-6)
    assert scaled.square().mean().item() == pytest.approx(1, abs=1e-5)


def test_relative_error_and_r_squared_by_hand() -> None:
    truth = np.array([0.0, 2.0])
    assert relative_error(np.array([0.5, 1.5]), truth) == pytest.approx(0.5)
    assert r_squared(np.array([0.5, 1.5]), truth) == pytest.approx(0.75)
    # weight 3:1 → mean .5, variance .75, squared error 1 at the second alone.
    weighted = relative_error(np.array([0.0, 1.0]), truth, weight=np.array([3.0, 1.0]))
    assert weighted == pytest.approx(math.sqrt(0.25 / 0.75))
    assert math.isnan(relative_error(truth, np.ones(2)))
