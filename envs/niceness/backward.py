"""Backward induction: the value of every node and the set of best actions there.

    Q_t(n, a) = E[pay_t + γ V_{t+1}(n')],   V_t(n) = max over allowed a of Q_t(n, a),   V_H(n) = ending(n)

γ = 1 but for Myopic, which is RT with γ = 0. Values are exact fractions, so ties are ties. Nodes are solved when they
are first asked for, with all that can follow them: also those that no best play from the start reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from envs.errors import UserError
from envs.niceness.utilities import NOTHING, Memory, Node, Utility, branches

MAX_NODES = 100_000
Allowed = Callable[[int, Node], Iterable[int]]


def layers(memory: Memory, *, time: int, node: Node, actions: Allowed) -> list[set[Node]]:
    """Nodes that can be reached at `time`, time + 1, ..., H from one; UserError where they are too many."""
    found = [{node}]
    for now in range(time, memory.case.horizon):
        found.append({after for one in found[-1] for a in actions(now, one) for after in branches(memory, one, a)})
        if len(found[-1]) > MAX_NODES:
            raise UserError(
                f"what must be remembered of {memory.case.name} has more than {MAX_NODES} values after {now + 1} "
                "steps; shorten the horizon, or choose an objective that remembers less."
            )
    return found


def every_action(memory: Memory) -> Allowed:
    """No action is forbidden."""
    return lambda time, node: range(len(memory.case.actions))


@dataclass(frozen=True, eq=False)
class Solution:
    """The best that can be had from each node.

    Attributes:
        memory: What is maximised, and what it remembers.
        discount: γ.
        allowed: (t, node) -> actions; None for all.
    """

    memory: Utility
    discount: Fraction = Fraction(1)
    allowed: Allowed | None = None
    _known: dict[tuple[int, Node], dict[int, Fraction]] = field(default_factory=dict)

    @property
    def value(self) -> Fraction:
        """V_0 of the start."""
        return self.value_at(0, self.memory.start())

    def value_at(self, time: int, node: Node) -> Fraction:
        """V_t(n)."""
        return self.memory.ending(node) if time == self.memory.case.horizon else max(self.q(time, node).values())

    def actions(self, time: int, node: Node) -> tuple[int, ...]:
        """All best actions, ascending."""
        q = self.q(time, node)
        best = max(q.values())
        return tuple(action for action, value in q.items() if value == best)

    def q(self, time: int, node: Node) -> dict[int, Fraction]:
        """Q_t(n, a) of each allowed action."""
        if (time, node) not in self._known:
            allowed = self.allowed or every_action(self.memory)
            ahead = layers(self.memory, time=time, node=node, actions=allowed)
            for now, nodes in reversed(list(enumerate(ahead[:-1], start=time))):
                for one in nodes:
                    if (now, one) not in self._known:
                        self._known[now, one] = {a: self._worth(now, one, a) for a in allowed(now, one)}
        return self._known[time, node]

    def _worth(self, time: int, node: Node, action: int) -> Fraction:
        worth = NOTHING
        for after, ways in branches(self.memory, node, action).items():
            ahead = self.discount * self.value_at(time + 1, after)
            worth += sum((p * (self.memory.pay(time, node, (action, o)) + ahead) for p, o in ways), NOTHING)
        return worth
