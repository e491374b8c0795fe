"""Policies on a memory, the exact law of what follows from them, and their value under any utility."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from envs.niceness.drmdp import DRMDP
from envs.niceness.utilities import NOTHING, Memory, Move, Node, Present, Utility


@dataclass(frozen=True)
class Policy:
    """A policy, random or not.

    Attributes:
        memory: What it looks at.
        law: (t, node) -> probability of each action; actions of probability 0 may be left out.
    """

    memory: Memory
    law: Callable[[int, Node], Mapping[int, Fraction]]


def inert(case: DRMDP) -> Policy:
    """The policy that always takes the inert action."""
    return Policy(Present(case), lambda time, node: {case.noop: Fraction(1)})


def laws(policy: Policy, watcher: Memory) -> list[dict[tuple[Node, Node], Fraction]]:
    """P(policy's node, watcher's node) at t = 0..H while the policy plays."""
    found = [{(policy.memory.start(), watcher.start()): Fraction(1)}]
    for time in range(policy.memory.case.horizon):
        after: dict[tuple[Node, Node], Fraction] = defaultdict(Fraction)
        for mine, seen, move, weight in _moves(policy, found[-1], time):
            after[policy.memory.after(mine, move), watcher.after(seen, move)] += weight
        found.append(dict(after))
    return found


def _moves(
    policy: Policy, law: Mapping[tuple[Node, Node], Fraction], time: int
) -> Iterator[tuple[Node, Node, Move, Fraction]]:
    """Every move that the policy can make from a law of nodes, with its probability."""
    for (mine, seen), weight in law.items():
        for action, chance in policy.law(time, mine).items():
            for outcome, probability in enumerate(policy.memory.case.probability[mine[0], mine[1], action]):
                if chance and probability:
                    yield mine, seen, (action, outcome), weight * chance * probability


def watched(policy: Policy, watcher: Memory) -> list[dict[Node, Fraction]]:
    """P(watcher's node) at t = 0..H while the policy plays."""
    found = []
    for law in laws(policy, watcher):
        alone: dict[Node, Fraction] = defaultdict(Fraction)
        for (_, node), weight in law.items():
            alone[node] += weight
        found.append(dict(alone))
    return found


def expected(policy: Policy, utility: Utility) -> Fraction:
    """E_π[U], whatever the policy was made for."""
    along = laws(policy, utility)
    total = sum((weight * utility.ending(node) for (_, node), weight in along[-1].items()), NOTHING)
    for time, law in enumerate(along[:-1]):
        total += sum((w * utility.pay(time, seen, move) for _, seen, move, w in _moves(policy, law, time)), NOTHING)
    return total
