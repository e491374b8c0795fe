"""Influence on θ: does a policy change the law of the reward trajectory, and what is the best that does not?

    ξ^θ = (θ_0, ..., θ_H)                    influence: P(ξ^θ | π) ≠ P(ξ^θ | π_noop)

Two index readings: with θ_H, so that a change at the last step counts, and without, as the paper writes ξ^θ. The best
value of any utility under P(ξ^θ | π) = P(ξ^θ | π_noop) is found exactly, over deterministic policies that remember the
past: with the utility of RT it is the objective CRT; for another one it says whether that has an optimum without
influence.

Source: Carroll et al. (2024), arXiv 2405.17713, definitions 1 and 2, and section 5 on constrained RT.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from envs.niceness.backward import Allowed, Solution
from envs.niceness.drmdp import DRMDP
from envs.niceness.frontier import Both, Frontier, Goal, Part, frontier
from envs.niceness.plans import Plan
from envs.niceness.policies import Policy, inert, watched
from envs.niceness.utilities import NOTHING, Memory, Move, Node, Present, Utility

Path = tuple[int, ...]
Law = tuple[tuple[Path, Fraction], ...]


@dataclass(frozen=True)
class Trajectory(Present):
    """Remembers θ_0..θ_t. Node (s, θ, path)."""

    def start(self) -> Node:
        """Only θ_0."""
        return (*self.case.start, (self.case.start[1],))

    def after(self, node: Node, move: Move) -> Node:
        """One θ more."""
        state, theta = super().after(node, move)
        return state, theta, (*node[2], theta)


def trajectory_law(policy: Policy, *, with_last: bool = True) -> dict[Path, Fraction]:
    """P(ξ^θ | π): the probability of each trajectory of θ."""
    law: dict[Path, Fraction] = defaultdict(Fraction)
    for node, weight in watched(policy, Trajectory(policy.memory.case))[-1].items():
        law[node[2] if with_last else node[2][:-1]] += weight
    return dict(law)


def influences(policy: Policy, *, with_last: bool = True) -> bool:
    """Whether a policy changes the law of the trajectory; it can though all marginals stay (MI = 0)."""
    natural = trajectory_law(inert(policy.memory.case), with_last=with_last)
    return trajectory_law(policy, with_last=with_last) != natural


@dataclass(frozen=True)
class Laws(Goal):
    """Keys are laws of θ_t..; those that cannot be part of the natural one are dropped where suffixes are given.

    Attributes:
        with_last: Whether θ_H counts.
        suffixes: For each t the paths that come of themselves; None for all.
    """

    with_last: bool
    suffixes: tuple[frozenset[Path], ...] | None = None

    def ending(self, node: Node) -> Law:
        """θ_H where it counts."""
        return (((node[1],) if self.with_last else (), Fraction(1)),)

    def join(self, time: int, node: Node, chosen: tuple[int, Sequence[Part]]) -> Law | None:
        """The law of θ_t..; None where a path is none that comes of itself."""
        law: dict[Path, Fraction] = defaultdict(Fraction)
        for _, ways, ahead in chosen[1]:
            share = sum((p for p, _ in ways), NOTHING)
            for path, probability in ahead:
                law[node[1], *path] += share * probability
        wanted = self.suffixes is None or law.keys() <= self.suffixes[time]
        return tuple(sorted(law.items())) if wanted else None


@dataclass(frozen=True)
class _BestPerLaw(Goal):
    """Keys (law of θ_t.., best value under it)."""

    laws: Laws
    utility: Utility

    def ending(self, node: Node) -> Any:
        """θ_H where it counts, and what is paid at the end."""
        return self.laws.ending(node), self.utility.ending(node)

    def join(self, time: int, node: Node, chosen: tuple[int, Sequence[Part]]) -> Any:
        """The law and its value; None where the law is not wanted."""
        action, parts = chosen
        law = self.laws.join(time, node, (action, [(after, ways, key[0]) for after, ways, key in parts]))
        paid = ((p, self.utility.pay(time, node, (action, o)) + key[1]) for _, ways, key in parts for p, o in ways)
        return None if law is None else (law, sum((p * worth for p, worth in paid), NOTHING))

    def keep(self, keys: Collection[Any]) -> Collection[Any]:
        """The best value under each law."""
        best: dict[Law, Fraction] = {}
        for law, value in keys:
            best[law] = max(value, best.get(law, value))
        return list(best.items())


@dataclass(frozen=True, eq=False)
class Lawful:
    """The best without influence, as a plan: values, action sets on nodes that such play reaches, a policy."""

    reachable: Frontier
    key: Any
    sets: dict[tuple[int, Node], tuple[int, ...]]

    @property
    def memory(self) -> Memory:
        """What its policies look at."""
        return self.reachable.memory

    @property
    def value(self) -> Fraction:
        """The best value under the constraint."""
        worth: Fraction = self.key[1]
        return worth

    def actions(self, time: int, node: Node) -> tuple[int, ...]:
        """Actions that some best policy takes here."""
        return self.sets.get((time, node), ())

    def policy(self) -> Policy:
        """One best policy."""
        return self.reachable.policy(self.key)

    def all_of(self, goal: Goal) -> list[Any]:
        """The keys of all best policies."""
        found = frontier(self.memory, Both(self.reachable.goal, goal)).keys
        return [beside for wanted, beside in found if wanted == self.key]


def best_without_influence(utility: Utility, *, with_last: bool = True) -> Lawful:
    """The most of a utility that leaves the law of ξ^θ as the inert policy has it.

    Raises:
        UserError: Too many different laws (see `frontier`).
    """
    natural = trajectory_law(inert(utility.case), with_last=with_last)
    suffixes = tuple(frozenset(path[time:] for path in natural) for time in range(utility.case.horizon))
    found = frontier(utility, _BestPerLaw(Laws(with_last, suffixes), utility))
    wanted = tuple(sorted(natural.items()))
    # The inert policy is among them, so the natural law always has a value.
    key = next(key for key in found.keys if key[0] == wanted)
    return Lawful(found, key, found.optimal([key]))


def share_that_influences(plan: Plan, *, with_last: bool = True) -> str:
    """How many of a plan's optimal policies influence: "none", "some" or "all"."""
    natural = tuple(sorted(trajectory_law(inert(plan.memory.case), with_last=with_last).items()))
    found = {law != natural for law in plan.all_of(Laws(with_last))}
    return {frozenset({True}): "all", frozenset({False}): "none"}.get(frozenset(found), "some")


def has_influence_incentive(utility: Utility, *, with_last: bool = True) -> bool:
    """Whether every optimal policy of a utility influences."""
    return best_without_influence(utility, with_last=with_last).value < Solution(utility).value


def mask_of_steps(case: DRMDP) -> Allowed:
    """(t, node) -> actions with T_θ(·|s, θ, a) = T_θ(·|s, θ, noop): the paper's action mask for CRT.

    It looks one step ahead only. An action that moves θ later, such as a lock before the drift, passes it.
    """

    def allowed(time: int, node: Node) -> list[int]:
        still = _next_theta_law(case, node, case.noop)
        return [a for a in range(len(case.actions)) if _next_theta_law(case, node, a) == still]

    return allowed


def _next_theta_law(case: DRMDP, node: Node, action: int) -> dict[int, Fraction]:
    law: dict[int, Fraction] = defaultdict(Fraction)
    here = (node[0], node[1], action)
    for theta, probability in zip(case.next_theta[here], case.probability[here], strict=True):
        if probability:
            law[int(theta)] += probability
    return law
