"""The layers of an agent on both sides of the interface between E and V, and what V reads through it.

Shapes: H units, D features between E and V, I what E's last layer reads, K parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from agents.networks import ConvEncoder, MlpEncoder
from analysis.instruments.singular import SingularDirections, singular_directions
from shards.ensemble import StackedParts

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Interface:
    """Weights of one network at the interface.

    Attributes:
        written: float64[D, I], E's last layer; None where E does not end with one (a memory).
        read: float64[H, D], the first layer of V, all parts one below the other.
        parts: K arrays float64[H', D], the same of each part; empty where V has one part, or parts share that layer.
        read_std: Standard deviation of `read`'s entries before training.
    """

    written: Floats | None
    read: Floats
    parts: tuple[Floats, ...]
    read_std: float

    @property
    def directions(self) -> SingularDirections:
        """What V reads."""
        return singular_directions(self.read)


@torch.no_grad()
def interface_of(agent: AlphaAgent) -> Interface:
    """The layers of an agent's E and V that meet at `value_head.features`."""
    head, encoder = agent.value_head, agent.value_encoder
    stack = next(child for child in head.children() if isinstance(child, StackedParts))
    stacked = stack.input_weight.double().cpu().numpy()
    read = stacked.reshape(-1, stacked.shape[2])
    parts: tuple[Floats, ...] = ()
    if head.num_parts == len(stacked) > 1:
        parts = tuple(stacked)
    elif head.num_parts > 1 and not stack.deeper_weight:
        unit_part = head.unit_part.cpu().numpy()
        parts = tuple(read[unit_part == part] for part in range(head.num_parts))
    written = None
    if isinstance(encoder, MlpEncoder | ConvEncoder):
        last = encoder.dense.layers[-1]
        written = np.asarray(last.get_parameter("weight").double().cpu().numpy())
    return Interface(written, read, parts, float((2.0 / stacked.shape[2]) ** 0.5))
