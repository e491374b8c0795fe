"""A gated recurrent unit over a whole sequence, with its gradient through time written out.

With a_t what the inputs say to the gates, u_t = U h̃_t + c what the memory h̃_t = keep_t h_{t−1} says to them, and

    r = σ(a_r + u_r),    z = σ(a_z + u_z),    n = tanh(a_n + r ∘ u_n),    h_t = (1 − z) ∘ n + z ∘ h̃_t,

the gradient of a loss by h_t, δ_t, reaches u_t through slopes that no later step changes,

    s_r = s_a ∘ u_n ∘ r ∘ (1 − r),    s_z = (h̃ − n) ∘ z ∘ (1 − z),    s_n = s_a ∘ r,    s_a = (1 − z) ∘ (1 − n²),

so that they are worked out for all steps at once, and a step back takes one product with U:

    ∂u_t = s_t ∘ δ_t,    δ_{t−1} = ∂h_{t−1} + keep_t (z_t ∘ δ_t + ∂u_t U),    ∂U = Σ_t ∂u_tᵀ h̃_t.

Minibatches are so small that autograd's way, operation by operation, takes half as long again or more.

Shape key: T time, B batch, M memory.
"""

# mypy: disable-error-code="no-untyped-call, misc"
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def unroll_recurrence(gates: Tensor, keep: Tensor, memory: Tensor, *, weight: Tensor, bias: Tensor) -> Tensor:
    """The memory after each of T steps; gradients reach everything but `keep`, once.

    Args:
        gates: float[T, B, 3M], what the inputs say to the gates r, z and n, in this order.
        keep: float[T, B, 1], 0 where the step begins an episode, else 1.
        memory: float[B, M] before the first step.
        weight: float[3M, M], U.
        bias: float[3M], c.

    Returns:
        float[T, B, M], with the values of `torch.nn.GRUCell` called T times.
    """
    history: Tensor = _Recurrence.apply(gates, keep, memory, weight, bias)
    return history


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        """`told` holds u at first, and r, z and u_n side by side at the end."""
        gates, keep, memory, weight, bias = given
        size = memory.shape[1]
        before, candidate, history = (gates.new_empty(*gates.shape[:2], size) for _ in range(3))
        told, transposed = torch.empty_like(gates), weight.T
        for a, u, kept, old, n, new in _steps(gates, told, keep, before, candidate, history):
            torch.mul(memory, kept, out=old)
            torch.addmm(bias, old, transposed, out=u)
            reset_update, u_n = u.split((2 * size, size), dim=1)
            a_reset_update, a_n = a.split((2 * size, size), dim=1)
            reset, update = reset_update.add_(a_reset_update).sigmoid_().chunk(2, dim=1)
            torch.mul(reset, u_n, out=n).add_(a_n).tanh_()
            memory = torch.lerp(n, old, update, out=new)
        ctx.save_for_backward(keep, weight, before, candidate, told)
        return history

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_history: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by the arguments of `forward`."""
        keep, weight, before, candidate, told = ctx.saved_tensors
        reset, update, new_h = told.chunk(3, dim=2)
        inward = (1 - update) * (1 - candidate.square())
        slopes = torch.stack(
            [inward * new_h * reset * (1 - reset), (before - candidate) * update * (1 - update), inward * reset], dim=2
        )
        by_told, delta = torch.empty_like(slopes), torch.empty_like(before)
        passed = torch.zeros_like(before[0])
        steps = reversed([*_steps(by_history, slopes, update, keep, delta, by_told)])
        for by_new, slope, z, kept, at_step, by_u in steps:
            torch.add(by_new, passed, out=at_step)
            torch.mul(slope, at_step.unsqueeze(1), out=by_u)
            passed = torch.addmm(z * at_step, by_u.flatten(1), weight).mul_(kept)
        by_gates = torch.cat([by_told[:, :, :2].flatten(2), inward * delta], dim=2)
        by_told = by_told.flatten(2).flatten(0, 1)
        return by_gates, None, passed, by_told.T @ before.flatten(0, 1), by_told.sum(dim=0)


def _steps(*sequences: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """What several sequences [T, ...] hold at each step; views."""
    return zip(*(sequence.unbind() for sequence in sequences), strict=True)
