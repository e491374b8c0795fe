"""What an episode is worth to an objective: which evaluator θ̂_t pays at each step, and what must be remembered for it.

    U = Σ_t R(θ̂_t, s_t, θ_t, a_t, s_{t+1}) + ending

A memory is a node, a tuple that begins with the real (s, θ) and is a function of what happened so far; the rest of it
is what the evaluator needs: nothing (RT, IR, PR), the inert twin (NS), or the returns so far in the eyes of each θ
(FR, which is not Markov in (s, θ, t)). One backward induction and one evaluation of policies then serve them all.

A move is (action, outcome): what the agent did and which outcome of the noise came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from envs.niceness.drmdp import DRMDP

Node = tuple[Any, ...]
Move = tuple[int, int]
NOTHING = Fraction(0)


class Memory(Protocol):
    """What is remembered along an episode."""

    @property
    def case(self) -> DRMDP:
        """The process that is remembered."""

    def start(self) -> Node:
        """The node before the first step."""

    def after(self, node: Node, move: Move) -> Node:
        """The node after a move."""


class Utility(Memory, Protocol):
    """A memory that pays."""

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """What the step of a move is worth."""

    def ending(self, node: Node) -> Fraction:
        """What is paid once, after the last step."""


@dataclass(frozen=True)
class Present:
    """RT: each moment is judged by the θ held at that moment. Node (s, θ)."""

    case: DRMDP

    def start(self) -> Node:
        """(s_0, θ_0)."""
        return self.case.start

    def after(self, node: Node, move: Move) -> Node:
        """(s', θ')."""
        place = (node[0], node[1], *move)
        return int(self.case.next_state[place]), int(self.case.next_theta[place])

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """R of the θ held now."""
        return reward(self.case, node, move, evaluator=node[1])

    def ending(self, node: Node) -> Fraction:
        """Nothing."""
        return NOTHING


@dataclass(frozen=True)
class Fixed(Present):
    """IR and PR: one θ judges the whole episode. Node (s, θ)."""

    theta: int

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """R of that θ."""
        return reward(self.case, node, move, evaluator=self.theta)


@dataclass(frozen=True)
class Scheduled(Present):
    """NS_lit: each θ judges step t with the weight weights[t][θ]. Node (s, θ)."""

    weights: tuple[tuple[Fraction, ...], ...]

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """The weighted sum of R."""
        shares = enumerate(self.weights[time])
        return sum((w * reward(self.case, node, move, evaluator=k) for k, w in shares if w), NOTHING)


@dataclass(frozen=True)
class Natural(Present):
    """NS: each moment is judged by the θ of the inert twin, which reads the same noise. Node (s, θ, s^nat, θ^nat)."""

    def __post_init__(self) -> None:
        """Refuse unkeyed noise."""
        self.case.require_keyed("NS")

    def start(self) -> Node:
        """Both halves at the start."""
        return (*self.case.start, *self.case.start)

    def after(self, node: Node, move: Move) -> Node:
        """The real half after its action, the twin after the inert one, under the same outcome."""
        twin = super().after(node[2:], (self.case.noop, move[1]))
        return (*super().after(node, move), *twin)

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """R of the twin's θ."""
        return reward(self.case, node, move, evaluator=node[3])


@dataclass(frozen=True)
class Final(Present):
    """FR: the θ held after the last transition judges the whole episode. Node (s, θ, returns so far by each θ)."""

    def start(self) -> Node:
        """No returns yet."""
        return (*self.case.start, (NOTHING,) * len(self.case.thetas))

    def after(self, node: Node, move: Move) -> Node:
        """Returns with those of this step."""
        sums = tuple(sum_k + reward(self.case, node, move, evaluator=k) for k, sum_k in enumerate(node[2]))
        return (*super().after(node, move), sums)

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """Nothing before the end."""
        return NOTHING

    def ending(self, node: Node) -> Fraction:
        """The returns in the eyes of the last θ."""
        final: Fraction = node[2][node[1]]
        return final


@dataclass(frozen=True)
class Joint(Present):
    """Several memories side by side. Node (s, θ, their nodes)."""

    members: tuple[Memory, ...]

    def start(self) -> Node:
        """The starts of all."""
        return (*self.case.start, *(member.start() for member in self.members))

    def after(self, node: Node, move: Move) -> Node:
        """Each remembers for itself."""
        inner = (member.after(one, move) for member, one in zip(self.members, node[2:], strict=True))
        return (*super().after(node, move), *inner)


@dataclass(frozen=True)
class Mixed(Joint):
    """The weighted sum of utilities of one case; its members are utilities. Node as in `Joint`."""

    members: tuple[Utility, ...]
    weights: tuple[Fraction, ...]

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """The weighted sum of what they pay."""
        paid = zip(self.weights, self.members, node[2:], strict=True)
        return sum((weight * utility.pay(time, one, move) for weight, utility, one in paid), NOTHING)

    def ending(self, node: Node) -> Fraction:
        """The weighted sum of what they pay at the end."""
        paid = zip(self.weights, self.members, node[2:], strict=True)
        return sum((weight * utility.ending(one) for weight, utility, one in paid), NOTHING)


def reward(case: DRMDP, node: Node, move: Move, *, evaluator: int) -> Fraction:
    """R(θ̂, s, θ, a, s')."""
    found: Fraction = case.reward[evaluator, node[0], node[1], move[0], move[1]]
    return found


def branches(memory: Memory, node: Node, action: int) -> dict[Node, list[tuple[Fraction, int]]]:
    """Each node that an action can lead to, with the probability and index of every outcome that leads there."""
    found: dict[Node, list[tuple[Fraction, int]]] = defaultdict(list)
    for outcome, probability in enumerate(memory.case.probability[node[0], node[1], action]):
        if probability:
            found[memory.after(node, (action, outcome))].append((probability, outcome))
    return found


def theta_marginals(memory: Memory, nodes: Sequence[dict[Node, Fraction]]) -> tuple[tuple[Fraction, ...], ...]:
    """P(θ_t = θ) from the laws of the nodes at each t."""
    thetas = range(len(memory.case.thetas))
    return tuple(tuple(sum((p for n, p in law.items() if n[1] == k), NOTHING) for k in thetas) for law in nodes)
