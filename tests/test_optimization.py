"""The optimiser on one flat vector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from agents.optimization import DECAY_1, DECAY_2, EPSILON, FlatAdam, OneScaleAdam

TINY = float(np.finfo(np.float32).tiny)


@pytest.mark.parametrize("fused", [False, True])
def test_moments_of_a_dead_unit_become_zero_and_never_denormal(fused: bool) -> None:
    """After 900 steps without a gradient both moments are 0; weights are those of an Adam that keeps such numbers."""
    start = torch.tensor([0.5, -0.25])
    optimizer = FlatAdam([nn.Parameter(start.clone())], max_grad_norm=1e9, fused=fused)
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


@pytest.mark.parametrize("kind", [FlatAdam, OneScaleAdam])
def test_a_fused_step_is_the_step_up_to_rounding(kind: type[FlatAdam]) -> None:
    start, generator = torch.randn(300, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    one, two = (kind([nn.Parameter(start.clone())], max_grad_norm=3.0, fused=fused) for fused in (False, True))
    for step in range(50):
        gradient = torch.randn(300, generator=generator) * torch.rand(300, generator=generator) ** 4
        norms = [each.follow([gradient.clone()], learning_rate=0.01 / (1 + step), site="test") for each in (one, two)]
        assert norms[0] == norms[1]
    torch.testing.assert_close(one.vector, two.vector, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(one.first_moment, two.first_moment, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(one.second_moment, two.second_moment, rtol=1e-5, atol=1e-9)


def test_a_matrix_that_lies_by_columns_learns_the_same_and_its_state_is_that_of_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    start, bias = torch.randn(4, 7, generator=generator), torch.randn(4, generator=generator)
    states, results = [], []
    for by_column in (False, True):
        weight, other = nn.Parameter(start.clone()), nn.Parameter(bias.clone())
        optimizer = FlatAdam([weight, other], max_grad_norm=1e9, by_columns=[weight] if by_column else [])
        assert weight.t().is_contiguous() == by_column and torch.equal(weight.data, start)
        rows = torch.Generator().manual_seed(1)
        for _ in range(5):
            gradients = [torch.randn(4, 7, generator=rows), torch.randn(4, generator=rows)]
            optimizer.follow(gradients, learning_rate=0.1, site="test")
        states.append({name: part.clone() for name, part in optimizer.get_state().items()})
        again = nn.Parameter(torch.zeros(4, 7)), nn.Parameter(torch.zeros(4))
        resumed = FlatAdam(again, max_grad_norm=1e9, by_columns=again[:1])
        resumed.set_state(optimizer.get_state())
        assert torch.equal(again[0].data, weight.data) and torch.equal(again[1].data, other.data)
        optimizer.release()
        assert weight.is_contiguous()
        results.append(weight.data)
    assert torch.equal(*results)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def _reference(start: torch.Tensor) -> tuple[nn.Parameter, torch.optim.Adam]:
    parameter = nn.Parameter(start.clone())
    return parameter, torch.optim.Adam([parameter], lr=0.01, betas=(DECAY_1, DECAY_2), eps=EPSILON)
