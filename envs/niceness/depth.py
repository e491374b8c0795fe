"""Planning depth as a power: at every node the best of the next n steps, chosen anew at the next one.

n = 1 with the utility of RT is Myopic, n >= H the optimum. In TRIAD such a planner for RT persuades from the start iff
κ > h/((e − h)(n − 1)), and one for IR locks in the step before the drift iff κ > h/(o · min(n − 1, T − d)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from envs.errors import require_integer
from envs.niceness.plans import Rule
from envs.niceness.utilities import NOTHING, Node, Utility, branches


@dataclass(frozen=True, eq=False)
class _Ahead:
    """Values of the next steps alone, kept once known."""

    utility: Utility
    _known: dict[tuple[int, Node, int], dict[int, Fraction]] = field(default_factory=dict)

    def q(self, time: int, node: Node, steps: int) -> dict[int, Fraction]:
        """What each action and the best of the steps after it are worth, `steps` in all."""
        place = (time, node, steps)
        if place not in self._known:
            self._known[place] = {a: self._worth(place, a) for a in range(len(self.utility.case.actions))}
        return self._known[place]

    def _worth(self, place: tuple[int, Node, int], action: int) -> Fraction:
        time, node, steps = place
        worth = NOTHING
        for after, ways in branches(self.utility, node, action).items():
            worth += sum((p * self.utility.pay(time, node, (action, o)) for p, o in ways), NOTHING)
            worth += sum((p for p, _ in ways), NOTHING) * self._best(time + 1, after, steps - 1)
        return worth

    def _best(self, time: int, node: Node, steps: int) -> Fraction:
        if time == self.utility.case.horizon:
            return self.utility.ending(node)
        return max(self.q(time, node, steps).values()) if steps else NOTHING


def planned_to_depth(utility: Utility, depth: int) -> Rule:
    """The plan that looks `depth` steps ahead, 1 to H or more.

    Raises:
        UserError: A depth below 1.
    """
    require_integer("planning depth", depth, low=1, high=10_000)
    ahead = _Ahead(utility)

    def sets(time: int, node: Node) -> tuple[int, ...]:
        q = ahead.q(time, node, depth)
        return tuple(action for action, worth in q.items() if worth == max(q.values()))

    return Rule(utility, sets)
