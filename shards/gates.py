"""Gates: how strongly each part is called for in a state.

A gate turns features (or, for an oracle, the true context) into scores[B, K]; a mixer turns scores into weights.

Shape key: B batch, D features, K parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.value_head import draw_normal


class Gate(nn.Module):
    """Base of every gate.

    Attributes:
        needs_context: whether `forward` must be given the context.
    """

    needs_context = False

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Return scores, float[B, K], for features float[B, D] and context int64[B]."""
        raise NotImplementedError

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Set what is learned to its start; the generator is on the CPU."""


class LinearGate(Gate):
    """scores = G·features + g, learned.

    An even gate starts at zero, so that no part is preferred before training; the parts' own random weights break the
    tie. An uneven one starts with G drawn from N(0, 1/D), so that every part is preferred in some states: mixers under
    which few parts decide teach no other.
    """

    def __init__(self, num_features: int, num_parts: int, *, uneven: bool = False) -> None:
        """Make G[K, D] and g[K], NaN until the weights are given."""
        super().__init__()
        self.uneven = uneven
        self.weight = nn.Parameter(torch.full((num_parts, num_features), torch.nan))
        self.bias = nn.Parameter(torch.full((num_parts,), torch.nan))

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Return scores, float[B, K]; the context is not read."""
        return functional.linear(features, self.weight, self.bias)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Set g to zero, and G to zero or, where uneven, to N(0, 1/D)."""
        nn.init.zeros_(self.bias)
        if self.uneven:
            draw_normal(self.weight, self.weight.shape[1] ** -0.5, generator)
        else:
            nn.init.zeros_(self.weight)


class ConstantGate(Gate):
    """scores_k = w_k in every state, fixed: 1 for a plain sum, 1/K for a mean, the rewards' weights for components."""

    scores: Tensor

    def __init__(self, scores: Sequence[float]) -> None:
        """One score for each part."""
        super().__init__()
        self.register_buffer("scores", torch.tensor(scores, dtype=torch.float32), persistent=False)

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Return scores, float[B, K]; neither features nor context are read."""
        return self.scores.expand(features.shape[0], -1)


class OracleGate(Gate):
    """scores = (1 − ε)·one-hot of the true context + ε/K. Nothing is learned.

    With a leak ε of 0, part k is called for in context k and nowhere else; with 1, all parts are everywhere. Between
    them lies the dose of a known sharded head.
    """

    needs_context = True
    parts: Tensor

    def __init__(self, num_parts: int, *, leak: float = 0.0) -> None:
        """One part for each context; leak is ε in [0, 1]."""
        super().__init__()
        self.leak = leak
        self.register_buffer("parts", torch.arange(num_parts), persistent=False)

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Return scores, float[B, K].

        Raises:
            ValueError: the context is missing, of another shape or type, or outside [0, K).
        """
        checked = self._check(context, features.shape[0])
        one_hot = (checked.unsqueeze(1) == self.parts).to(features.dtype)
        return one_hot if self.leak == 0.0 else (1.0 - self.leak) * one_hot + self.leak / len(self.parts)

    def _check(self, context: Tensor | None, batch_size: int) -> Tensor:
        if context is None:
            raise ValueError(
                "an oracle gate was given no context, and it picks the part by the true context; pass "
                f"context=int64[{batch_size}], or use a head with a learned gate (MOE)"
            )
        if context.shape != (batch_size,) or context.is_floating_point():
            raise ValueError(
                f"context is {context.dtype} of shape {tuple(context.shape)}, but must be int64 of shape "
                f"({batch_size},)"
            )
        low, high = (int(bound) for bound in context.aminmax()) if batch_size else (0, 0)
        if low < 0 or high >= len(self.parts):
            raise ValueError(
                f"context holds {low if low < 0 else high}, but an oracle gate over {len(self.parts)} contexts takes "
                f"0 to {len(self.parts) - 1}; leave out states whose context is unknown (-1)"
            )
        return context
