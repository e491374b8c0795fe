"""The optimiser on one flat vector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from agents.optimization import DECAY_1, DECAY_2, EPSILON, FlatAdam

TINY = float(np.finfo(np.float32).tiny)


def test_moments_of_a_dead_unit_become_zero_and_never_denormal() -> None:
    """After 900 steps without a gradient both moments are 0; weights are those of an Adam that keeps such numbers."""
    start = torch.tensor([0.5, -0.25])
    optimizer = FlatAdam([nn.Parameter(start.clone())], max_grad_norm=1e9)
    theirs, adam = _reference(start)
    for step in range(900):
        gradient = torch.tensor([1e-15 if step == 0 else 0.0, 0.1])
        optimizer.follow([gradient], learning_rate=0.01, site="test")
        theirs.grad = gradient
        adam.step()
        for moment in (optimizer.first_moment, optimizer.second_moment):
            assert ((moment == 0) | (moment.abs() >= TINY)).all()
    assert optimizer.first_moment[0] == 0 and adam.state[theirs]["exp_avg"][0] != 0
    assert optimizer.vector.numpy() == pytest.approx(theirs.detach().numpy(), rel=1e-4)


def test_denormals_count_again_after_a_step() -> None:
    optimizer = FlatAdam([nn.Parameter(torch.ones(3))], max_grad_norm=1.0)
    optimizer.follow([torch.ones(3)], learning_rate=0.1, site="test")
    assert (torch.full((3,), 1e-40) * 0.5 > 0).all()


def _reference(start: torch.Tensor) -> tuple[nn.Parameter, torch.optim.Adam]:
    parameter = nn.Parameter(start.clone())
    return parameter, torch.optim.Adam([parameter], lr=0.01, betas=(DECAY_1, DECAY_2), eps=EPSILON)
