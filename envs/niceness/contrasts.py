"""Objectives against each other: regrets, what influence is worth, whether they can be told apart.

regret_j(π) = max U_j − U_j(π)                         for every objective j, whatever π was made for
value of influence_j = V*_j(κ) − V*_j(0)               the second in the same case without power
indistinguishability = |∩_j Opt_j| / |∪_j Opt_j|       over optimal (node, action) pairs; 1 = identical
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from envs.errors import UserError
from envs.niceness.backward import Solution
from envs.niceness.drmdp import DRMDP
from envs.niceness.objectives import find_objective
from envs.niceness.policies import Policy, expected, inert
from envs.niceness.utilities import Joint, Utility, branches

Worth = TypeVar("Worth", Fraction, float)


@dataclass(frozen=True)
class Regret(Generic[Worth]):
    """How far a policy is from the best under one objective; in fractions, or in float64 in worlds on a grid.

    Attributes:
        value: U_j(π).
        best: max U_j.
        inert: U_j(noop).
    """

    value: Worth
    best: Worth
    inert: Worth

    @property
    def regret(self) -> Worth:
        """Max U_j − U_j(π)."""
        return self.best - self.value

    @property
    def normalised(self) -> Worth | None:
        """Regret by what there is to win over the inert policy; None where there is nothing."""
        return self.regret / (self.best - self.inert) if self.best - self.inert > 1e-9 else None


@dataclass(frozen=True)
class Judge:
    """An objective that ranks policies of one case.

    Attributes:
        utility: U_j.
        best: max U_j.
        inert: U_j(noop).
    """

    utility: Utility
    best: Fraction
    inert: Fraction


def judges(case: DRMDP, names: Sequence[str]) -> dict[str, Judge]:
    """Objectives as judges; UserError for one that is a rule and ranks nothing."""
    utilities = {name: utility_of(name, case) for name in names}
    return {name: Judge(u, Solution(u).value, expected(inert(case), u)) for name, u in utilities.items()}


def regrets(policy: Policy, judged_by: Mapping[str, Judge]) -> dict[str, Regret[Fraction]]:
    """Regret of a policy under each judge."""
    return {name: Regret(expected(policy, one.utility), one.best, one.inert) for name, one in judged_by.items()}


def utility_of(name: str, case: DRMDP) -> Utility:
    """What an objective maximises; UserError where it is a rule."""
    found = find_objective(name, case)
    if found.utility is None:
        raise UserError(f"{name} is a rule and maximises nothing, so no policy has a regret under it; name another.")
    return found.utility(case)


def value_of_influence(name: str, *, strong: DRMDP, weak: DRMDP) -> Fraction:
    """V*(κ) − V*(0) of an objective, given the case with its power and without; UserError for a rule."""
    with_power, without = (Solution(utility_of(name, case)).value for case in (strong, weak))
    return with_power - without


def indistinguishability(case: DRMDP, names: Sequence[str]) -> Fraction:
    """|∩ Opt_j| / |∪ Opt_j| over the nodes that play reaches where every action is optimal for some of them.

    Raises:
        UserError: No objective, an unknown one, or one that the case does not allow.
    """
    sets = [one for at in _optimal_sets(case, names, play=set.union) for one in at]
    return Fraction(sum(len(set.intersection(*one)) for one in sets), sum(len(set.union(*one)) for one in sets))


def have_a_common_optimum(case: DRMDP, names: Sequence[str]) -> bool:
    """Whether one policy is optimal for all of them; then they differ in ties at most."""
    return all(set.intersection(*one) for at in _optimal_sets(case, names, play=set.intersection) for one in at)


def _optimal_sets(
    case: DRMDP, names: Sequence[str], *, play: Callable[..., set[int]]
) -> Iterator[list[list[set[int]]]]:
    """For each step and each node reached by `play` of the optimal sets, the set of every objective."""
    if not names:
        raise UserError("There are 0 objectives to tell apart; name at least one.")
    plans = [find_objective(name, case).plan(case) for name in names]
    memory = Joint(case, tuple(plan.memory for plan in plans))
    nodes = {memory.start()}
    for time in range(case.horizon):
        found = {
            node: [set(plan.actions(time, one)) for plan, one in zip(plans, node[2:], strict=True)] for node in nodes
        }
        yield list(found.values())
        nodes = {after for node, sets in found.items() for a in play(*sets) for after in branches(memory, node, a)}
