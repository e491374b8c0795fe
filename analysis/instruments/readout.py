"""What a network reads of a layer, and a direction split by it: the check on a patch that succeeded.

For a linear readout the space read is the span of its rows, exactly. Otherwise it is taken from the Jacobians on data:

    M = E[J' J],   J = ∂V / ∂(h / s),   s the standard deviations of h,

and the space read is the span of v / s over the fewest eigenvectors v of M that carry a share of its trace (.99 where
left out).

Shapes: n rows, d features, r dimensions read, k directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.instruments.cde import Output, ablation_effect, patch_effect
from analysis.instruments.erasers import orthonormal_rows
from envs.errors import UserError

Floats = NDArray[np.float64]


def space_read(features: NDArray[np.floating], value_of: Output, *, share: float = 0.99) -> Floats:
    """The space that V reads on these rows, by its gradients.

    Args:
        features: [n, d], in the precision that `value_of` takes.
        value_of: The rest of the network, to values [n]; each value must depend on its own row alone.
        share: Of the mean squared slope of V, per standard deviation of the features, that the space must carry.

    Returns:
        An orthonormal basis float64[r, d].

    Raises:
        UserError: V does not depend on the features.
    """
    rows = torch.from_numpy(features).requires_grad_()
    (slopes,) = torch.autograd.grad(value_of(rows).sum(), [rows])
    spread = np.asarray(features, dtype=np.float64).std(axis=0)
    per_spread = slopes.double().numpy() * spread
    values, vectors = np.linalg.eigh(per_spread.T @ per_spread / len(per_spread))
    if values[-1] <= 0.0:
        raise UserError(
            "V does not depend on the features on any of these rows, so it reads nothing; choose another site"
        )
    carried = np.cumsum(values[::-1]) / values.sum()
    num_read = int(np.searchsorted(carried, share)) + 1
    # V depends on the eigenvectors' products with h / spread, that is, on the rows vector / spread of h.
    moving = spread > 0.0
    leading = np.zeros((num_read, len(spread)))
    leading[:, moving] = vectors[:, ::-1].T[:num_read][:, moving] / spread[moving]
    return orthonormal_rows(leading)


@dataclass(frozen=True, eq=False)
class SplitEffect:
    """A basis, its part in the space read and its part outside, each patched and ablated alone.

    Attributes:
        fraction_read: Share of the basis's squared length that lies in the space read, in [0, 1].
        patch: Effect of swapping along the whole basis.
        patch_read: Along its part in the space read.
        patch_unread: Along its part outside; more than 0 means that the space read was drawn too small.
        ablation: Effect of ablating the whole basis.
        ablation_read: Of its part in the space read.
    """

    fraction_read: float
    patch: float
    patch_read: float
    patch_unread: float
    ablation: float
    ablation_read: float

    @property
    def is_illusory(self) -> bool:
        """The swap succeeds, yet most of the basis lies where V does not read: it is not V's code of the concept."""
        return self.patch > 0.5 and self.fraction_read < 0.5


def split_effect(
    basis: Floats,
    read: Floats,
    *,
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    value_of: Output,
) -> SplitEffect:
    """Splits a basis by the space that V reads, and patches each part alone.

    Args:
        basis: float64[k, d], orthonormal, such as `cde.causal_directions` gives.
        read: float64[r, d], orthonormal, from `space_read`, or from the rows of a linear readout.
        before: [B, d], pairs that neither was fitted on.
        after: [B, d].
        value_of: The rest of the network, to values [B].
    """
    inside = (basis @ read.T) @ read
    in_read, outside = orthonormal_rows(inside, scale=1.0), orthonormal_rows(basis - inside, scale=1.0)
    return SplitEffect(
        fraction_read=float((inside**2).sum() / (basis**2).sum()),
        patch=patch_effect(basis, before, after, value_of=value_of),
        patch_read=patch_effect(in_read, before, after, value_of=value_of),
        patch_unread=patch_effect(outside, before, after, value_of=value_of),
        ablation=ablation_effect(basis, before, after, value_of=value_of),
        ablation_read=ablation_effect(in_read, before, after, value_of=value_of),
    )
