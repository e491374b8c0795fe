"""Plans: actions that are fixed before an episode begins, so that an episode can be played again.

Uniformly random actions end most episodes early. Walks that keep to one action, or swing between two, bump into walls
and live long, and so meet what happens late in an episode.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

Plan = list[Any]
_FEW = 8
_MEAN_RUN = 6


class Planner:
    """Draws plans from an action space with a generator of its own; the env's space is not touched."""

    def __init__(self, space: spaces.Space[Any], seed: int) -> None:
        """Copy the space, and seed the copy."""
        self._space = copy.deepcopy(space)
        self._space.seed(seed)
        self._rng = np.random.default_rng(seed)

    def random(self, length: int) -> Plan:
        """Uniform actions."""
        return [self._space.sample() for _ in range(length)]

    def sticky(self, length: int) -> Plan:
        """Uniform actions that are each kept for a geometric number of steps, six in the mean."""
        plan: Plan = []
        while len(plan) < length:
            plan += [self._space.sample()] * int(self._rng.geometric(1 / _MEAN_RUN))
        return plan[:length]

    def mixed(self, length: int) -> Plan:
        """A sticky half and a random half."""
        return self.sticky(length // 2) + self.random(length - length // 2)

    def survey(self, length: int) -> Iterator[Plan]:
        """Without end: every walk of one action and every swing between neighbours once, among random plans."""
        actions = self._few()
        walks = [[action] * length for action in actions]
        swings = [[a, b] * (length // 2 + 1) for a, b in itertools.pairwise(actions)]
        for walk in itertools.chain(*itertools.zip_longest(walks, swings, fillvalue=[])):
            if walk:
                yield walk[:length]
                yield self.sticky(length)
        while True:
            yield self.random(length)
            yield self.sticky(length)

    def _few(self) -> list[Any]:
        """All actions of a small Discrete space; the corners and some actions of another one."""
        space = self._space
        if isinstance(space, spaces.Discrete) and space.n <= _FEW:
            return [space.start + n for n in range(int(space.n))]
        corners = []
        if isinstance(space, spaces.Box) and space.is_bounded("both"):
            corners = [space.low.copy(), space.high.copy()]
        return corners + [space.sample() for _ in range(_FEW - len(corners))]
