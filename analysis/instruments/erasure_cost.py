"""What an erasure costs: how far activations move, and what V and the policy say then.

    change        = ‖Δh‖ / sqrt(E ‖h - mean‖²)
    value_change  = RMS(V(r(h)) - V(h)) / sd V(h)
    value_order   = Spearman(V(h), V(r(h))) within each context, averaged over rows
    greedy        = share of rows on which the most probable action stays

Shapes: n rows, d features, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from analysis.instruments.erasers import change_size
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Reading = Callable[[Floats], Floats]
"""What reads a site: activations float64[n, d] to values [n] or logits [n, A]."""


@dataclass(frozen=True)
class Cost:
    """What an erasure changes besides the concept; see the module's head for the formulas.

    Attributes:
        change: ‖Δh‖ relative to the spread of h.
        value_change: In sd V; None where no V was given.
        value_order: In [-1, 1]; None where no V was given.
        greedy: In [0, 1]; None where no policy reads the site.
    """

    change: float
    value_change: float | None = None
    value_order: float | None = None
    greedy: float | None = None


@dataclass(frozen=True, eq=False)
class Costing:
    """Measures costs on given rows; what V and the policy say without erasing is asked once.

    Attributes:
        features: float64[n, d].
        contexts: int64[n].
        value_of: V, or None.
        logits_of: The policy, or None.
        values: V(h), or None.
        actions: The most probable action of each row, or None.
    """

    features: Floats
    contexts: Ints
    value_of: Reading | None
    logits_of: Reading | None
    values: Floats | None
    actions: Ints | None

    def cost(self, erased: Floats) -> Cost:
        """The cost of rows erased to float64[n, d]."""
        spread = change_size(self.features.mean(axis=0), self.features)
        change = change_size(self.features, erased) / spread
        value_change = value_order = greedy = None
        if self.value_of is not None and self.values is not None:
            values = np.asarray(self.value_of(erased), dtype=np.float64)
            value_change = float(np.sqrt(((values - self.values) ** 2).mean()) / self.values.std())
            value_order = order_within(self.values, values, self.contexts)
        if self.logits_of is not None and self.actions is not None:
            greedy = float((np.asarray(self.logits_of(erased)).argmax(axis=1) == self.actions).mean())
        return Cost(change, value_change, value_order, greedy)


def costing(
    features: Floats, contexts: Ints, *, value_of: Reading | None = None, logits_of: Reading | None = None
) -> Costing:
    """Asks V and the policy about rows as they are.

    Args:
        features: float64[n, d].
        contexts: int64[n].
        value_of: V from activations, float[n].
        logits_of: The policy from activations, float[n, A].

    Raises:
        UserError: V is not one finite number for each row, or constant.
    """
    values = None if value_of is None else np.asarray(value_of(features), dtype=np.float64)
    if values is not None and (values.shape != (len(features),) or not np.isfinite(values).all()):
        raise UserError(
            f"V gave shape {values.shape} with {int((~np.isfinite(values)).sum())} numbers that are not finite for "
            f"{len(features)} rows; give one finite value a row"
        )
    if values is not None and np.ptp(values) == 0.0:
        raise UserError(f"V is {values[0]:g} on all {len(values)} rows, so no change of it can be seen; train V first")
    actions = None if logits_of is None else np.asarray(logits_of(features)).argmax(axis=1)
    return Costing(features, contexts, value_of, logits_of, values, actions)


def order_within(before: Floats, after: Floats, contexts: Ints) -> float:
    """Spearman's correlation within each context, averaged by its number of rows.

    Returns:
        In [-1, 1]. A context in which all values become equal has lost its order and counts 0; one in which they were
        equal before has none to lose and is left out. NaN where that leaves nothing.
    """
    found, weights = [], []
    for context in np.unique(contexts):
        rows = contexts == context
        if np.ptp(before[rows]) > 0.0:
            lost = np.ptp(after[rows]) == 0.0
            found.append(0.0 if lost else float(spearmanr(before[rows], after[rows]).statistic))
            weights.append(int(rows.sum()))
    return float(np.average(found, weights=weights)) if found else np.nan


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """The mean of each measure over some costs, None where the first has none."""

    def mean(name: str) -> float | None:
        return None if getattr(costs[0], name) is None else float(np.mean([getattr(one, name) for one in costs]))

    change = float(np.mean([one.change for one in costs]))
    return Cost(change, mean("value_change"), mean("value_order"), mean("greedy"))
