"""A concept, a lookup table and noise: what a probe must read under every split, under some, and under none.

Shapes: n rows, d features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUM_LEVELS, STATES_A_LEVEL, NUM_EPISODES, LENGTH = 30, 4, 200, 10


@dataclass(frozen=True, eq=False)
class Plant:
    """Rows of 200 episodes of 10 steps, each on one of 30 levels of 4 states.

    Attributes:
        features: float64[n, d].
        labels: int64[n], 0 or 1, a function of the state.
        splits: Name -> int64[n]: episode, level, state.
    """

    features: Floats
    labels: Ints
    splits: dict[str, Ints]


def concept(labels: Ints, states: Ints, *, stream: np.random.Generator) -> Floats:
    """The label itself as one coordinate of unit noise, at +-1.5: accuracy Phi(1.5) = .93 under every split."""
    features = stream.normal(size=(len(labels), 4))
    features[:, 0] += 3.0 * labels - 1.5
    return features


def lookup(labels: Ints, states: Ints, *, stream: np.random.Generator) -> Floats:
    """The state's name, one coordinate each: 1 where states come again, 1/2 where they are held out."""
    return np.eye(int(states.max()) + 1)[states]


def noise(labels: Ints, states: Ints, *, stream: np.random.Generator) -> Floats:
    """Nothing: 1/2 under every split."""
    return stream.normal(size=(len(labels), 4))


FEATURES: MappingProxyType[str, Callable[..., Floats]] = MappingProxyType(
    {"concept": concept, "lookup table of states": lookup, "noise": noise}
)


def plant(name: str, *, stream: np.random.Generator) -> Plant:
    """The rows of one of `FEATURES`."""
    episode = np.repeat(np.arange(NUM_EPISODES), LENGTH)
    level = stream.integers(NUM_LEVELS, size=NUM_EPISODES)[episode]
    state = level * STATES_A_LEVEL + stream.integers(STATES_A_LEVEL, size=len(episode))
    labels = stream.permutation(np.arange(NUM_LEVELS * STATES_A_LEVEL) % 2)[state]
    features = FEATURES[name](labels, state, stream=stream)
    return Plant(features, labels, {"episode": episode, "level": level, "state": state})
