"""Loops of Adam's step over one flat vector: every number is read and written once.

torch's five operations pass over the vector nine times, and its root alone takes as long as the whole loop here. Roots
are correctly rounded here, and are not in torch, so that steps differ in their last bits.

Shape key: P parameters.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from envs.compilation import COMPILED

# A division that never raises leaves a loop that runs on several numbers at once.
_QUIET: dict[str, Any] = {**COMPILED, "error_model": "numpy"}


@njit(**_QUIET)
def adam_step(vectors, gradient, decays, numbers):
    """Take one step of Adam.

    Args:
        vectors: (θ, m, v), float32[P] each, changed in place.
        gradient: float32[P].
        decays: (β₁, 1 − β₁, β₂, 1 − β₂), float32.
        numbers: (1/(1 − β₂ᵗ), ε, −lr/(1 − β₁ᵗ)), float32.
    """
    theta, first, second = vectors
    keep_first, new_first, keep_second, new_second = decays
    correction, epsilon, rate = numbers
    for i in range(theta.size):
        g = gradient[i]
        m = keep_first * first[i] + new_first * g
        v = keep_second * second[i] + new_second * (g * g)
        first[i], second[i] = m, v
        theta[i] += (rate * m) / (np.sqrt(v * correction) + epsilon)


@njit(**_QUIET)
def one_scale_step(vectors, gradient, decays, rate):
    """Take a step of Adam whose second moment is one number: θ ← θ + rate·m; as `adam_step` otherwise."""
    (theta, first), (keep_first, new_first) = vectors, decays
    for i in range(theta.size):
        m = keep_first * first[i] + new_first * gradient[i]
        first[i] = m
        theta[i] += rate * m
