"""The recurrence over a whole sequence: torch's own cell step by step, gradients by finite differences and autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from agents.recurrence import unroll_recurrence
from agents.seeding import torch_generator

SIZES = [(1, 1, 1), (5, 3, 4), (9, 2, 7)]


def drawn(num_times: int, batch: int, memory: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch_generator(num_times)
    shapes = [(num_times, batch, 3 * memory), (batch, memory), (3 * memory, memory), (3 * memory,)]
    gates, before, weight, bias = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    keep = (torch.rand(num_times, batch, 1, generator=generator) < 0.7).to(dtype)
    return [gates, keep, before, weight, bias]


def unroll(gates: Tensor, keep: Tensor, memory: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return unroll_recurrence(gates, keep, memory, weight=weight, bias=bias)


def step_by_step(gates: Tensor, keep: Tensor, memory: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """With torch's own cell, whose inputs are the gates."""
    cell = nn.GRUCell(gates.shape[2], memory.shape[1]).to(gates.dtype)
    parameters = {"weight_ih": torch.eye(gates.shape[2], dtype=gates.dtype), "bias_ih": torch.zeros_like(bias)}
    history = []
    for gates_t, keep_t in zip(gates, keep, strict=True):
        given = parameters | {"weight_hh": weight, "bias_hh": bias}
        memory = torch.func.functional_call(cell, given, (gates_t, memory * keep_t))
        history.append(memory)
    return torch.stack(history)


@pytest.mark.parametrize("sizes", SIZES)
def test_values_and_gradients_are_those_of_torchs_cell(sizes: tuple[int, int, int]) -> None:
    arguments = drawn(*sizes, torch.float64)
    weights = torch.randn(*sizes, generator=torch_generator(1), dtype=torch.float64)
    found = []
    for way in (unroll, step_by_step):
        leaves = [argument.clone().requires_grad_(n != 1) for n, argument in enumerate(arguments)]
        history = way(*leaves)
        free = [leaf for leaf in leaves if leaf.requires_grad]
        found.append([history.detach(), *torch.autograd.grad((history * weights).sum(), free)])
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs, atol=1e-12, rtol=1e-10)


def test_gradients_are_finite_differences() -> None:
    leaves = [argument.requires_grad_(n != 1) for n, argument in enumerate(drawn(4, 2, 3, torch.float64))]
    assert torch.autograd.gradcheck(unroll, leaves)


def test_nothing_passes_where_nothing_is_kept() -> None:
    gates, keep, memory, weight, bias = drawn(3, 2, 4, torch.float32)
    keep[:] = 1.0
    keep[1, 0] = 0.0
    memory.requires_grad_()
    (passed,) = torch.autograd.grad(unroll(gates, keep, memory, weight, bias)[2].sum(), memory)
    assert not passed[0].any() and passed[1].all()


def test_a_second_gradient_is_refused() -> None:
    gates, *others = drawn(2, 1, 2, torch.float64)
    gates.requires_grad_()
    (first,) = torch.autograd.grad(unroll(gates, *others).sum(), gates, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(first.sum(), gates)
