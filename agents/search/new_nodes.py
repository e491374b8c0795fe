"""What one simulation adds to the trees.

Shape key: N nodes, M new nodes, S row size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class NewNodes:
    """Nodes that one simulation has added, at most one in each tree, in the order of trees; valid during the call.

    Attributes:
        rows: int16[M, S], their states.
        trees: int64[M].
        nodes: int32[M], their numbers; 0 for roots.
        parents: int32[M]; −1 for roots.
        num_nodes: N, room for nodes in each tree.
    """

    rows: NDArray[np.int16]
    trees: NDArray[np.int64]
    nodes: NDArray[np.int32]
    parents: NDArray[np.int32]
    num_nodes: int

    def first(self, count: int) -> NewNodes:
        """The first of them, without a copy."""
        parts = (self.rows[:count], self.trees[:count], self.nodes[:count], self.parents[:count])
        return NewNodes(*parts, num_nodes=self.num_nodes)
