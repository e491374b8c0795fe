"""Vectors of utilities: all that can be achieved, what is Pareto-undominated, and ParetoUD.

    EU_θ(π) = E_π Σ_t R_θ(s_t, a_t, s_{t+1})
    UD: EU_θ(π) >= EU_θ(π_noop) for all θ
    ParetoUD: in UD, and no policy of UD is better for some θ and worse for none

Enumeration is over deterministic policies that remember the past.

Source: Carroll et al. (2024), arXiv 2405.17713, section 5.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from envs.niceness.drmdp import DRMDP
from envs.niceness.frontier import Both, Frontier, Goal, Part, frontier
from envs.niceness.policies import Policy, expected, inert
from envs.niceness.utilities import NOTHING, Fixed, Memory, Node, Present, Utility

Vector = tuple[Fraction, ...]


@dataclass(frozen=True)
class Values(Goal):
    """Keys are vectors: what is still to come under each of several utilities that all remember the same.

    Attributes:
        utilities: Of one memory.
        undominated: Keep the Pareto-undominated alone.
    """

    utilities: tuple[Utility, ...]
    undominated: bool = True

    def ending(self, node: Node) -> Vector:
        """What is paid at the end."""
        return tuple(utility.ending(node) for utility in self.utilities)

    def join(self, time: int, node: Node, chosen: tuple[int, Sequence[Part]]) -> Vector:
        """Expected pay and what follows."""
        action, parts = chosen
        total = [NOTHING] * len(self.utilities)
        for _, ways, ahead in parts:
            for probability, outcome in ways:
                for i, utility in enumerate(self.utilities):
                    total[i] += probability * (utility.pay(time, node, (action, outcome)) + ahead[i])
        return tuple(total)

    def keep(self, keys: Collection[Any]) -> Collection[Any]:
        """All, or those that no other dominates."""
        return undominated(keys) if self.undominated else keys


def undominated(vectors: Collection[Vector]) -> list[Vector]:
    """Those that no other equals or exceeds everywhere and exceeds somewhere."""
    # In descending order nobody is dominated by a later one.
    kept: list[Vector] = []
    for vector in sorted(set(vectors), reverse=True):
        if not any(covers(other, vector) for other in kept):
            kept.append(vector)
    return kept


def covers(vector: Vector, other: Vector) -> bool:
    """Whether a vector is nowhere below another."""
    return all(mine >= theirs for mine, theirs in zip(vector, other, strict=True))


def eu_of_each(case: DRMDP) -> tuple[Fixed, ...]:
    """EU_θ for every θ."""
    return tuple(Fixed(case, theta) for theta in range(len(case.thetas)))


@dataclass(frozen=True, eq=False)
class Undominated:
    """ParetoUD as a plan: its vectors EU, the actions of its policies, one of them.

    Attributes:
        reachable: The frontier.
        vectors: EU of its policies, one entry per θ.
        sets: Actions that some of its policies take at a node.
    """

    reachable: Frontier
    vectors: tuple[Vector, ...]
    sets: dict[tuple[int, Node], tuple[int, ...]]

    @property
    def memory(self) -> Memory:
        """What its policies look at."""
        return self.reachable.memory

    @property
    def value(self) -> None:
        """A set has no best value."""
        return

    def actions(self, time: int, node: Node) -> tuple[int, ...]:
        """Actions that some policy of the set takes here."""
        return self.sets.get((time, node), ())

    def policy(self) -> Policy:
        """One of its policies: the one that is best for the sum over θ."""
        return self.reachable.policy(max(self.vectors, key=lambda vector: (sum(vector), vector)))

    def all_of(self, goal: Goal) -> list[Any]:
        """The keys of all its policies."""
        found = frontier(self.memory, Both(self.reachable.goal, goal), self.actions).keys
        return list(dict.fromkeys(beside for wanted, beside in found if wanted in self.vectors))


def pareto_ud(case: DRMDP) -> Undominated:
    """ParetoUD, exactly; UserError where there is too much to enumerate."""
    utilities = eu_of_each(case)
    found = frontier(Present(case), Values(utilities))
    floor = tuple(expected(inert(case), utility) for utility in utilities)
    vectors = tuple(vector for vector in found.keys if covers(vector, floor))
    return Undominated(found, vectors, found.optimal(vectors))
