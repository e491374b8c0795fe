"""What solving an objective gives: optimal action sets, one optimal policy, and what its optimal policies can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from envs.niceness.backward import Allowed, Solution
from envs.niceness.frontier import Goal, frontier
from envs.niceness.policies import Policy
from envs.niceness.utilities import Memory, Node, Utility


class Plan(Protocol):
    """What solving an objective gives."""

    @property
    def memory(self) -> Memory:
        """What its policies look at."""

    @property
    def value(self) -> Fraction | None:
        """The best value of what is maximised; None where nothing is."""

    def actions(self, time: int, node: Node) -> tuple[int, ...]:
        """All optimal actions at a node; of a plan from a frontier, () at one that optimal play cannot reach."""

    def policy(self) -> Policy:
        """One optimal policy."""

    def all_of(self, goal: Goal) -> list[Any]:
        """The keys of a goal that its optimal policies have, all of them."""


@dataclass(frozen=True, eq=False)
class Maximum:
    """The plan that maximises a utility.

    Attributes:
        solution: Its backward induction.
    """

    solution: Solution

    @property
    def memory(self) -> Memory:
        """What the utility remembers."""
        return self.solution.memory

    @property
    def value(self) -> Fraction:
        """The maximum."""
        return self.solution.value

    def actions(self, time: int, node: Node) -> tuple[int, ...]:
        """All best actions."""
        return self.solution.actions(time, node)

    def policy(self) -> Policy:
        """The optimal policy that takes, among equals, the action that the case names first."""
        return first_of_each(self.memory, self.actions)

    def all_of(self, goal: Goal) -> list[Any]:
        """The keys that choices among equals can have."""
        return frontier(self.memory, goal, self.actions).keys


@dataclass(frozen=True, eq=False)
class Rule:
    """A plan whose action sets come from a rule and not from a maximum over what really follows.

    Attributes:
        memory: What its policies look at.
        sets: (t, node) -> actions.
    """

    memory: Memory
    sets: Callable[[int, Node], tuple[int, ...]]

    @property
    def value(self) -> None:
        """Nothing is maximised."""
        return

    def actions(self, time: int, node: Node) -> tuple[int, ...]:
        """The actions that the rule allows."""
        return self.sets(time, node)

    def policy(self) -> Policy:
        """The policy that takes, among equals, the action that the case names first."""
        return first_of_each(self.memory, self.sets)

    def all_of(self, goal: Goal) -> list[Any]:
        """The keys that choices among equals can have."""
        return frontier(self.memory, goal, self.sets).keys


def maximum(utility: Utility, *, allowed: Allowed | None = None) -> Maximum:
    """Solve a utility, by the allowed actions (all where left out)."""
    return Maximum(Solution(utility, allowed=allowed))


def first_of_each(memory: Memory, sets: Callable[[int, Node], tuple[int, ...]]) -> Policy:
    """The policy that takes the first action of each set."""
    return Policy(memory, lambda time, node: {sets(time, node)[0]: Fraction(1)})
