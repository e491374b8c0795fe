"""Gates: how strongly each part is called for in a state.

A gate turns features (or, for an oracle, the true context) into scores[B, K]; a mixer turns scores into weights.

Shape key: B batch, D features, K parts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Gate(nn.Module):
    """Base of every gate.

    Attributes:
        needs_context: whether `forward` must be given the context.
    """

    needs_context = False

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Return scores, float[B, K], for features float[B, D] and context int64[B]."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Set the gate to prefer no part."""


class LinearGate(Gate):
    """scores = G·features + g, learned.

    The gate starts at zero, so that no part is preferred before training; the parts' own random weights break the tie.
    """

    def __init__(self, num_features: int, num_parts: int) -> None:
        """Make G[K, D] and g[K], NaN until the weights are given."""
        super().__init__()
        self.weight = nn.Parameter(torch.full((num_parts, num_features), torch.nan))
        self.bias = nn.Parameter(torch.full((num_parts,), torch.nan))

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Return scores, float[B, K]; the context is not read."""
        return functional.linear(features, self.weight, self.bias)

    def reset_parameters(self) -> None:
        """Set G and g to zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class OracleGate(Gate):
    """scores = one-hot of the true context: part k is called for in context k and nowhere else. Nothing is learned."""

    needs_context = True
    parts: Tensor

    def __init__(self, num_parts: int) -> None:
        """One part for each context."""
        super().__init__()
        self.register_buffer("parts", torch.arange(num_parts), persistent=False)

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Return one-hot scores, float[B, K].

        Raises:
            ValueError: the context is missing, of another shape or type, or outside [0, K).
        """
        checked = self._check(context, features.shape[0])
        return (checked.unsqueeze(1) == self.parts).to(features.dtype)

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
