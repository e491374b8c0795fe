"""The kernel of the policy loss against torch's own operations, and both against a known answer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agents.policy_terms import policy_terms


def drawn(size: int, num_actions: int, *, seed: int, spread: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, actions, log-probabilities of a policy near by, and advantages."""
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(size, num_actions, generator=generator)
    actions = torch.randint(num_actions, (size,), generator=generator)
    old = (logits + 0.3 * torch.randn(logits.shape, generator=generator)).log_softmax(-1)
    old_log_probs = old.gather(1, actions.unsqueeze(1))[:, 0]
    return logits.requires_grad_(), actions, old_log_probs, torch.randn(size, generator=generator)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 70), num_actions=st.integers(1, 7), seed=st.integers(0, 2**31),
    clip=st.sampled_from([None, 0.05, 0.2]), spread=st.sampled_from([0.0, 1.0, 20.0]),
)  # fmt: skip
def test_the_kernel_gives_what_torch_gives(
    size: int, num_actions: int, seed: int, clip: float | None, spread: float
) -> None:
    logits, actions, old_log_probs, advantages = drawn(size, num_actions, seed=seed, spread=spread)
    found = []
    for fused in (True, False):
        terms = policy_terms(logits, actions, old_log_probs, advantages=advantages, clip=clip, fused=fused)
        loss = terms[0] - 0.3 * terms[1]
        found.append([*(term.detach() for term in terms), torch.autograd.grad(loss, logits)[0]])
        assert not terms[2].requires_grad
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("fused", [True, False])
def test_a_ratio_beyond_its_bound_gets_no_gradient_where_that_would_lead_farther(fused: bool) -> None:
    """Two actions at ½; the old policy gave the one that was taken ¼ or 1, so the ratio is 2 or ½."""
    logits, taken = torch.zeros(4, 2, requires_grad=True), torch.zeros(4, dtype=torch.int64)
    old, gains = torch.tensor([0.25, 0.25, 1.0, 1.0]).log(), torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss, spread, divergence = policy_terms(logits, taken, old, advantages=gains, clip=0.2, fused=fused)
    assert loss.item() == pytest.approx(-(1.2 - 2.0 + 0.5 - 0.8) / 4)
    assert spread.item() == pytest.approx(0.693147, abs=1e-5)
    assert divergence.item() == pytest.approx((1.0 - 0.693147 - 0.5 + 0.693147) / 2, abs=1e-5)
    gradient = torch.autograd.grad(loss, logits)[0]
    expected = [0.0, 2.0 * 0.5 / 4, -0.5 * 0.5 / 4, 0.0]
    assert gradient[:, 0].tolist() == pytest.approx(expected)


def test_what_is_not_finite_does_not_get_lost() -> None:
    logits, actions, old_log_probs, advantages = drawn(8, 3, seed=0, spread=1.0)
    broken = torch.where(torch.arange(8).unsqueeze(1) == 3, torch.nan, logits.detach()).requires_grad_()
    loss, _, _ = policy_terms(broken, actions, old_log_probs, advantages=advantages, clip=0.2, fused=True)
    assert bool(loss.isnan())
