"""Read directions shown on the grid: which plane and cell a layer's directions respond to.

Two maps of one direction v, both of the shape of the observation's planes:

    correlation   corr over states of v·h(s) and x_{p,y,x}(s)      what goes with it on the states that were seen
    Jacobian      mean over states of ∂(v·h)/∂x_{p,y,x}            what the encoder would do if one input moved alone

The first sees effects of inputs that go together (walls that always stand where the agent cannot be); the second moves
inputs that the world never moves alone. What both show is in the encoder.

Shapes: n states, d features, r directions, P planes, H rows and W columns of the grid, I inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from analysis.instruments.arrays import finite_matrix
from envs.errors import UserError

Floats = NDArray[np.float64]


def correlation_maps(activity: ArrayLike, planes: ArrayLike) -> Floats:
    """Correlations of each direction's activity with each cell of each plane.

    Args:
        activity: float[n, r], `SingularDirections.activity`.
        planes: float[n, P, H, W], the observation.

    Returns:
        float64[r, P, H, W] in [−1, 1]; NaN where a cell (or a direction) never changes over these states.

    Raises:
        UserError: Arrays that are no such planes or do not describe the same states, or not finite.
    """
    grids = np.asarray(planes, dtype=np.float64)
    if grids.ndim != 4:
        raise UserError(f"planes have shape {grids.shape}; they must be [states, planes, rows, columns]")
    reads = finite_matrix("activity", activity, min_rows=2)
    inputs = finite_matrix("planes", grids.reshape(len(grids), -1), min_rows=2)
    if len(reads) != len(inputs):
        raise UserError(f"there are {len(reads)} states of activity and {len(inputs)} of planes; give the same states")
    correlations = _unit(reads).T @ _unit(inputs)
    return np.clip(correlations, -1.0, 1.0).reshape(-1, *grids.shape[1:])


def jacobian_maps(encode: Callable[[Tensor], Tensor], inputs: Tensor, reads: Tensor) -> Floats:
    """The mean gradient of each direction's activity by each input.

    Args:
        encode: Maps inputs [n, I] to features [n, d], each state on its own.
        inputs: float[n, I], what the encoder reads.
        reads: float[r, d].

    Returns:
        float64[r, I]; the inputs that are planes can be shown on the grid. 0 for inputs that reach no feature.
    """
    given = inputs.detach().clone().requires_grad_()
    activity = encode(given) @ reads.to(given).T
    # Gradients to the inputs alone: the network's own parameters must not gather any.
    maps = [torch.autograd.grad(one.sum(), given, retain_graph=True)[0].mean(dim=0) for one in activity.T]
    return np.asarray(torch.stack(maps).double().cpu().numpy())


def _unit(columns: Floats) -> Floats:
    """Columns centred and of length 1; NaN where they do not vary by more than rounding."""
    centred = columns - columns.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    varies = length > 1e-12 * np.sqrt(len(columns)) * np.maximum(np.abs(columns).max(axis=0), 1.0)
    return np.asarray(np.divide(centred, length, out=np.full_like(centred, np.nan), where=varies))
