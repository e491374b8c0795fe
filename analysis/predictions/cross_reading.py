"""T8b, cross-part readability: does the part of V that is at work know what V would say in another context?

Shapes: M situations (a state but for its context), C contexts, U units, D features of E, P parts.

Parts are found without labels (`parts.find_parts`) on unit contributions. The part at work in context c is the one
whose contribution varies most over the situations in c. A ridge probe reads the counterfactual value V(m, c') from m
units of the part at work in c, in c; it is fitted on half of the layouts and scored on the other half. With the same
number m of features of E, in c, in place of units,
    score = mean over pairs c != c' of R^2(units of the part at work -> V(., c')) - R^2(features of E -> V(., c')).
Units and features are drawn at random, since a larger part would be read better for its size alone; R^2 is the mean
over draws.
"""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np

from analysis.predictions.parts import Floats, Ints, find_parts, live_units, part_contributions
from analysis.predictions.prediction import Prediction
from analysis.predictions.privileged_access import Flags, held_out_layouts

PREDICTION = Prediction(
    key="T8b",
    question="Can the counterfactual value in another context be read from the part of V that is at work in this one?",
    world="ValueLab/MultiNeed-v0, ValueLab/DiamondGhost-v0",
    actor="none",
    metric="R^2 of a ridge probe from 16 units of the part at work to V in another context, minus that from 16 "
    "features of E, on held-out layouts; mean over pairs of contexts",
    margin=0.1,
    family="exploratory",
    positive="planted agent OPEN: every part mixes the values in all contexts, E tells each of them weakly",
    null="planted agent CLOSED: a part varies with its own context's value alone, as E's features do",
    rule="estimate with a 95 % interval over seeds; read only if OPEN - CLOSED has a lower 90 % bound above the margin "
    "and the 90 % interval of CLOSED lies inside it",
    does_not_show="that one part uses what another knows: readable is not read. A readout that is not linear may find "
    "more, in units and in E alike",
)
NUM_UNITS = 16
NUM_DRAWS = 5
RIDGE = 1e-2
"""Penalty on standardised units, per situation."""


@dataclasses.dataclass(frozen=True)
class CrossReading:
    """How well another context's value is read, each the mean over pairs of contexts.

    Attributes:
        score: `from_part` - `from_encoder`.
        from_part: R^2 from units of the part at work.
        from_encoder: R^2 from as many features of E.
        from_whole_encoder: R^2 from all features of E.
        own_value: R^2 from the same units to the value in their own context.
    """

    score: float
    from_part: float
    from_encoder: float
    from_whole_encoder: float
    own_value: float


def cross_reading(units: Floats, features: Floats, values: Floats, *, layouts: Ints, seed: int) -> CrossReading:
    """Score one network.

    Args:
        units: Contributions of units, float[M, C, U]; every situation under every context.
        features: What E says, float[M, C, D].
        values: V, float[M, C].
        layouts: int[M]; levels that look alike have one number.
        seed: Of k-means and of the draws; from a named stream (see `analysis.predictions.parts`).
    """
    num_contexts = values.shape[1]
    parts = find_parts(units.reshape(-1, units.shape[2]), num_contexts, seed=seed)
    train = held_out_layouts(layouts).fitted
    rng = np.random.default_rng(seed)
    found = []
    for here, there in permutations(range(num_contexts), 2):
        members = units_at_work(units[:, here], parts, num_contexts)
        draws = []
        for _ in range(NUM_DRAWS):
            own, seen = _drawn(units[:, here], members, rng=rng), _drawn(features[:, here], None, rng=rng)
            draws.append([
                r_squared_of(own, values[:, there], train), r_squared_of(seen, values[:, there], train),
                r_squared_of(own, values[:, here], train),
            ])  # fmt: skip
        found.append([*np.mean(draws, axis=0), r_squared_of(features[:, here], values[:, there], train)])
    part, encoder, own_value, whole = (float(number) for number in np.mean(found, axis=0))
    return CrossReading(part - encoder, part, encoder, whole, own_value)


def units_at_work(contributions: Floats, parts: Ints, num_parts: int) -> Ints:
    """Live units of the part whose contribution varies most; contributions float[M, U] in one context."""
    at_work = part_contributions(contributions, parts, num_parts).var(axis=0).argmax()
    return np.flatnonzero((parts == at_work) & live_units(contributions))


def r_squared_of(features: Floats, target: Floats, train: Flags) -> float:
    """R^2 of a ridge fit on the rows of `train` and read on the others; 0 if the target is constant."""
    # Scaled over all rows: a unit that hardly fires in training alone would else be blown up where it does fire.
    scale = features.std(axis=0)
    table = (features - features[train].mean(axis=0)) / np.where(scale > 0, scale, np.inf)
    offset = target[train].mean()
    gram = table[train].T @ table[train] / train.sum() + RIDGE * np.eye(table.shape[1])
    weights = np.linalg.solve(gram, table[train].T @ (target[train] - offset) / train.sum())
    spread = float(((target[~train] - target[~train].mean()) ** 2).mean())
    error = float(((target[~train] - offset - table[~train] @ weights) ** 2).mean())
    return 1.0 - error / spread if spread > 0 else 0.0


def _drawn(columns: Floats, members: Ints | None, *, rng: np.random.Generator) -> Floats:
    """At most `NUM_UNITS` of the live columns, or of the members among them."""
    pool = np.flatnonzero(live_units(columns)) if members is None else members
    return columns[:, rng.choice(pool, size=min(NUM_UNITS, len(pool)), replace=False)]
