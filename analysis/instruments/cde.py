"""CDE: the subspace along which swapping the activations of two states swaps what the network says of them.

For pairs (a, b) of states that differ in the concept alone, and an orthonormal D [k, d],

    swap_D(a, b) = b - D'D b + D'D a,

D is learnt by Adam, made orthonormal after each step, such that the rest of the network f says at swap_D(a, b) what it
says at a, and at swap_D(b, a) what it says at b.

A swap that succeeds does not show that f reads D: where the concept is copied to a direction that f does not read, a D
between the two succeeds as well, since its reach into what f reads is amplified by the length of the copy (Makelov,
Lange & Nanda 2023, arXiv 2311.17030). So patch the part of D in what f reads and the part outside it apart
(`analysis.instruments.readout`), ask whether swap and ablation agree, and compare seeds.

Source: Roger & simeon_c (2022), LessWrong, "Causal direction extraction". Their author was less sure of it later: on
pairs made automatically it does much worse than ablation along the mean difference. A gridworld gives exact pairs.

Shapes: B pairs, d features, k directions, A outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.seeding import numpy_generator
from analysis.instruments.arrays import refuse_not_finite
from analysis.instruments.probe_input import check_shapes
from envs.errors import UserError, require_integer

Floats = NDArray[np.float64]
Rows = NDArray[np.floating]
Output = Callable[[Tensor], Tensor]
"""The rest of the network: activations [B, d] to values [B] or logits [B, A]; CDE differentiates through it."""


@dataclass(frozen=True)
class CdeSettings:
    """How long and how fast it learns.

    Attributes:
        num_steps: At most so many steps of Adam.
        window: Steps over which losses are averaged; it stops when an average is no lower than the one before.
        batch_size: Pairs a step.
        rate: Adam's.
    """

    num_steps: int = 1500
    window: int = 150
    batch_size: int = 64
    rate: float = 0.01


@dataclass(frozen=True, eq=False)
class CausalDirections:
    """What one run learnt.

    Attributes:
        basis: float64[k, d], orthonormal.
        losses: Mean loss of each window.
    """

    basis: Floats
    losses: tuple[float, ...]


def squared_difference(said: Tensor, wanted: Tensor) -> Tensor:
    """For values [B]: the mean of (said - wanted)²."""
    return (said - wanted).square().mean()


def symmetric_kl(said: Tensor, wanted: Tensor) -> Tensor:
    """For logits [B, A]: the mean of KL(p, q) + KL(q, p) = Σ (p - q)(log p - log q)."""
    log_p, log_q = said.log_softmax(dim=-1), wanted.log_softmax(dim=-1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1).mean()


def causal_directions(
    before: Rows,
    after: Rows,
    output_of: Output,
    *,
    num_directions: int,
    seed: int,
    settings: CdeSettings | None = None,
    discrepancy: Callable[[Tensor, Tensor], Tensor] = squared_difference,
) -> CausalDirections:
    """Learns D from pairs.

    Args:
        before: [B, d], in the precision that `output_of` takes.
        after: [B, d], the same states under another context, row by row.
        output_of: The rest of the network.
        num_directions: k in [1, d].
        seed: Of the start and of batches.
        settings: `CdeSettings()` where left out.
        discrepancy: `squared_difference` for values, `symmetric_kl` for logits.

    Raises:
        UserError: Pairs of other shapes or not finite, or between which the output never changes.
    """
    settings = settings or CdeSettings()
    a, b = _checked_pairs(before, after, output_of)
    require_integer("num_directions", num_directions, low=1, high=a.shape[1])
    stream = numpy_generator(seed, "cde")
    start = np.linalg.qr(stream.standard_normal((a.shape[1], num_directions)))[0].T
    basis = torch.tensor(start, dtype=a.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([basis], lr=settings.rate)
    with torch.no_grad():
        # Both ways in one pass: what is said at a where a is swapped into b, and the other way round.
        source, into, wanted = torch.cat([a, b]), torch.cat([b, a]), torch.cat([output_of(a), output_of(b)])
    means: list[float] = []
    for _ in range(max(1, settings.num_steps // settings.window)):
        total = 0.0
        for _ in range(settings.window):
            drawn = torch.from_numpy(stream.integers(len(a), size=settings.batch_size))
            batch = torch.cat([drawn, drawn + len(a)])
            loss = discrepancy(output_of(swap(basis, source[batch], into[batch])), wanted[batch])
            (basis.grad,) = torch.autograd.grad(loss, [basis])
            optimizer.step()
            with torch.no_grad():
                basis.copy_(torch.linalg.qr(basis.T)[0].T)
            total += float(loss.detach())
        means.append(total / settings.window)
        if len(means) > 1 and means[-1] >= means[-2]:
            break
    return CausalDirections(basis.detach().double().numpy(), tuple(means))


def swap(basis: Tensor, source: Tensor, into: Tensor) -> Tensor:
    """swap_D(source, into): `into` [B, d] with its part in the rows of the basis [k, d] taken from `source`."""
    return into + ((source - into) @ basis.T) @ basis


@torch.no_grad()
def patch_effect(basis: Floats, before: Rows, after: Rows, *, value_of: Output) -> float:
    """How far swapping along a basis moves V towards the other context's.

    effect = Σ (V(swap(a, b)) - V(b)) (V(a) - V(b)) / Σ (V(a) - V(b))², over pairs both ways; the slope of the one on
    the other, as single ratios have no mean where V(a) is near V(b).

    Args:
        basis: [k, d], orthonormal rows; none gives 0.
        before: [B, d].
        after: [B, d], pairs that were not learnt from.
        value_of: The rest of the network, to values [B].

    Returns:
        1 where outputs follow the swap wholly, 0 where they stay.
    """
    a, b = _checked_pairs(before, after, value_of)
    d = torch.from_numpy(basis).to(a)
    full = value_of(a) - value_of(b)
    moved = torch.cat([value_of(swap(d, a, b)) - value_of(b), value_of(swap(d, b, a)) - value_of(a)])
    return _slope(moved, torch.cat([full, -full]))


@torch.no_grad()
def ablation_effect(basis: Floats, before: Rows, after: Rows, *, value_of: Output) -> float:
    """How much of the difference that the context makes to V is gone once the basis is put at its mean.

    effect = 1 - slope of V(r(a)) - V(r(b)) on V(a) - V(b), r the mean ablation over all rows of both.

    Args:
        basis: [k, d], orthonormal rows.
        before: [B, d].
        after: [B, d].
        value_of: The rest of the network, to values [B].

    Returns:
        1 where nothing of it is left, 0 where it is all there.
    """
    a, b = _checked_pairs(before, after, value_of)
    d = torch.from_numpy(basis).to(a)
    mean = torch.cat([a, b]).mean(dim=0)
    left = value_of(swap(d, mean, a)) - value_of(swap(d, mean, b))
    return 1.0 - _slope(left, value_of(a) - value_of(b))


def _slope(moved: Tensor, full: Tensor) -> float:
    return float((moved * full).sum() / full.square().sum())


@torch.no_grad()
def _checked_pairs(before: Rows, after: Rows, output_of: Output) -> tuple[Tensor, Tensor]:
    """The members of pairs as tensors."""
    for rows in (before, after):
        check_shapes(rows)
        refuse_not_finite("pairs", rows)
    if before.shape != after.shape:
        raise UserError(f"pairs have shapes {before.shape} and {after.shape}; give the two members row by row")
    a, b = torch.from_numpy(before), torch.from_numpy(after)
    if not (output_of(a) != output_of(b)).any():
        raise UserError(
            f"the output is the same at both members of all {len(a)} pairs, so there is no effect to account for; "
            "choose pairs or a site at which the context makes a difference"
        )
    return a, b
