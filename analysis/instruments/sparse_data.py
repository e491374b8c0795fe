"""What sparse features are looked for in: activations split by state, and what the network makes of them.

Shapes: n rows to train on, m held-out rows, d units, A actions, P parts of V.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import numpy_generator
from analysis.instruments.sparse_training import checked_activations
from envs.errors import UserError, require_number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Readout = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Readouts:
    """What follows from activations [m, d] at the place that is looked at, for the held-out rows in their order.

    Attributes:
        value: V, float64[m].
        parts: What each part of V says, float64[m, P].
        logits: Of D, float64[m, A].
    """

    value: Readout | None = None
    parts: Readout | None = None
    logits: Readout | None = None


@dataclass(frozen=True, eq=False)
class SparseData:
    """Activations of one place in a network.

    Attributes:
        train: float64[n, d].
        test: float64[m, d], of states that are not in `train`: duplicates would make the test loss a training loss.
        train_states: int64[n].
        test_states: int64[m].
        train_contexts: int64[n], -1 where there is none; None where nothing is known of contexts.
        test_contexts: int64[m], as well.
        readouts: What follows from the activations of `test`.
    """

    train: Floats
    test: Floats
    train_states: Ints
    test_states: Ints
    train_contexts: Ints | None = None
    test_contexts: Ints | None = None
    readouts: Readouts = Readouts()

    def __post_init__(self) -> None:
        """Check shapes and values, and that no state is on both sides."""
        for part in ("train", "test"):
            object.__setattr__(self, part, checked_activations(getattr(self, part)))
            for name in (f"{part}_states", f"{part}_contexts"):
                _check_length(name, getattr(self, name), num_rows=len(getattr(self, part)))
        if self.train.shape[1] != self.test.shape[1]:
            raise UserError(
                f"training rows have {self.train.shape[1]} units and held-out rows {self.test.shape[1]}; give both at "
                "one place"
            )
        if len(shared := np.intersect1d(self.train_states, self.test_states)):
            raise UserError(
                f"{len(shared)} states (the first is {shared[0]}) are both trained on and held out, so the test loss "
                "would be a training loss; split with split_by_state"
            )

    @property
    def num_train_states(self) -> int:
        """Distinct states trained on; a dictionary of as many features can be a table of them."""
        return len(np.unique(self.train_states))


def split_by_state(states: Ints, *, share: float, seed: int) -> Bools:
    """Which rows are held out: all rows of a random `share` of the distinct states.

    Args:
        states: int64[n], equal for equal states.
        share: In (0, 1); at least one state is held out, and at least one is not.
        seed: Draws the states.

    Returns:
        bool[n].

    Raises:
        UserError: A share that is none, or fewer than two states.
    """
    require_number("share", share, low=0.01, high=0.99)
    names = np.unique(states)
    if len(names) < 2:
        raise UserError(f"the rows hold {len(names)} distinct state; at least two are needed to hold one out")
    count = min(max(1, round(share * len(names))), len(names) - 1)
    held_out = numpy_generator(seed, "sparse features", "split").permutation(names)[:count]
    return np.isin(states, held_out)


def split_data(
    activations: Floats,
    states: Ints,
    *,
    held_out: Bools,
    contexts: Ints | None = None,
    readouts: Readouts | None = None,
) -> SparseData:
    """The rows [n + m, d] on both sides of a split; `readouts` read the held-out rows in their order."""
    return SparseData(
        train=activations[~held_out],
        test=activations[held_out],
        train_states=states[~held_out],
        test_states=states[held_out],
        train_contexts=None if contexts is None else contexts[~held_out],
        test_contexts=None if contexts is None else contexts[held_out],
        readouts=readouts or Readouts(),
    )


def _check_length(name: str, array: Ints | None, *, num_rows: int) -> None:
    if array is not None and (array.shape != (num_rows,) or array.dtype.kind not in "iu"):
        raise UserError(
            f"{name} have dtype {array.dtype} and shape {array.shape}, but there are {num_rows} rows; give one integer "
            "per row"
        )
