"""What an encoder with memory remembers at the nodes of a search.

Shape key: B trees, N nodes, M new nodes, H memory size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agents.search.new_nodes import NewNodes


class NodeMemory:
    """What an encoder remembers at every node of every tree, float32[B, N, H]; nothing for encoders without memory."""

    def __init__(self, size: int, at_start: Tensor | None) -> None:
        self.size, self.at_start = size, at_start
        self.store: Tensor | None = None

    def before(self, new: NewNodes) -> Tensor | None:
        """The memory of the parents [M, H], before the new nodes are seen."""
        if self.size == 0 or new.parents[0] < 0:
            return self.at_start
        assert self.store is not None
        return self.store[torch.from_numpy(new.trees), torch.from_numpy(new.parents).long()]

    def keep(self, new: NewNodes, memory: Tensor | None) -> None:
        """Store the memory [M, H] after the new nodes were seen."""
        if memory is None:
            return
        if new.parents[0] < 0:
            self.store = memory.new_zeros(len(new.trees), new.num_nodes, self.size)
        assert self.store is not None
        self.store[torch.from_numpy(new.trees), torch.from_numpy(new.nodes).long()] = memory
