"""What a policy does to people: manipulation, lock-in, ease, welfare. They report and do not judge.

    MI   = (1/T) Σ_{t=1..T} TV(P_π(θ_t), P_noop(θ_t))               manipulation index
    MI_c = (1/T) Σ_{t=1..T} P(θ_t ≠ θ^nat_t) >= MI                  with the coupled twin
    LI   = (1/T) Σ_{t=1..T} [P_π(θ_t = θ_0) − P_noop(θ_t = θ_0)]⁺   lock-in index;  push index = MI − LI
    change suppression = 1 − E_π #{t : θ_t ≠ θ_{t−1}} / E_noop #{t : θ_t ≠ θ_{t−1}}
    ease gain = E V_help(θ_T) − E V_help(θ^nat_T),   V_help(s, θ) = max_a E R_θ(s, a, s')

MI and LI count good and bad change alike, so hidden welfare stands beside them. MI compares marginals: it can be 0
though the law of the trajectory changes (`envs.niceness.influence.influences`). V_help is the most that one step can
give to a person, what it makes itself included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from envs.niceness.drmdp import DRMDP
from envs.niceness.pareto import Values
from envs.niceness.plans import Plan
from envs.niceness.policies import Policy, expected, inert, watched
from envs.niceness.utilities import NOTHING, Move, Natural, Node, Present, branches, reward

Behaviour = tuple[Fraction, ...]


@dataclass(frozen=True)
class Held(Present):
    """As a utility: P(θ_t = θ) for t >= 1."""

    time: int
    theta: int

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """1 for the step that ends at t with this θ."""
        return Fraction(int(time + 1 == self.time and self.after(node, move)[1] == self.theta))


@dataclass(frozen=True)
class Changes(Present):
    """As a utility: the expected number of changes of θ."""

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """1 for a step that changes θ."""
        return Fraction(int(self.after(node, move)[1] != node[1]))


@dataclass(frozen=True)
class HelpAtTheEnd(Present):
    """As a utility: E V_help(θ_T)."""

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """Nothing before the end."""
        return NOTHING

    def ending(self, node: Node) -> Fraction:
        """V_help of the last state."""
        return help_value(self.case, node)


@dataclass(frozen=True)
class HiddenWelfare(Present):
    """As a utility that no agent has: the sum of hidden welfare."""

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """Welfare of the step."""
        found: Fraction = self.case.welfare[node[0], node[1], *move]
        return found


@dataclass(frozen=True)
class Influence:
    """The measures of one behaviour.

    Attributes:
        mi: Manipulation index, 0 to 1.
        li: Lock-in index, 0 to 1.
        suppression: Change suppression; None where nothing changes of itself.
        ease_gain: Ease gain.
        welfare: Expected sum of hidden welfare.
    """

    mi: Fraction
    li: Fraction
    suppression: Fraction | None
    ease_gain: Fraction
    welfare: Fraction

    @property
    def push(self) -> Fraction:
        """Push index."""
        return self.mi - self.li


def help_value(case: DRMDP, node: Node) -> Fraction:
    """V_help(s, θ) of a node."""
    actions = range(len(case.actions))
    ways = {a: [way for found in branches(Present(case), node[:2], a).values() for way in found] for a in actions}
    return max(sum((p * reward(case, node, (a, o), evaluator=node[1]) for p, o in ways[a]), NOTHING) for a in actions)


def measured(case: DRMDP) -> tuple[Present, ...]:
    """The expectations that the measures are made of: P(θ_t = θ) for t = 1..T, changes, help at the end, welfare."""
    held = [Held(case, time, k) for time in range(1, case.horizon + 1) for k in range(len(case.thetas))]
    return (*held, Changes(case), HelpAtTheEnd(case), HiddenWelfare(case))


def behaviour(policy: Policy) -> Behaviour:
    """The expectations `measured` of a policy, random or not."""
    case = policy.memory.case
    laws = watched(policy, Present(case))[1:]
    held = [sum((p for n, p in law.items() if n[1] == k), NOTHING) for law in laws for k in range(len(case.thetas))]
    return (*held, *(expected(policy, utility) for utility in measured(case)[-3:]))


def influence(policy: Policy) -> Influence:
    """The measures of a policy."""
    case = policy.memory.case
    return compared(case, behaviour(policy), behaviour(inert(case)))


def range_of_influence(plan: Plan) -> list[Influence]:
    """The measures of every optimal policy of a plan, each different one once; UserError where they are too many."""
    case = plan.memory.case
    natural = behaviour(inert(case))
    found = plan.all_of(Values(measured(case), undominated=False))
    return list(dict.fromkeys(compared(case, one, natural) for one in found))


def compared(case: DRMDP, acted: Behaviour, natural: Behaviour) -> Influence:
    """The measures of a behaviour against the inert one."""
    steps, first = case.horizon, case.start[1]
    pairs = list(zip(_by_step(acted, case), _by_step(natural, case), strict=True))
    distance = [sum((abs(p - q) for p, q in zip(mine, still, strict=True)), NOTHING) / 2 for mine, still in pairs]
    locked = [max(mine[first] - still[first], NOTHING) for mine, still in pairs]
    changes, ease, welfare = acted[-3:]
    still_changes, still_ease, _ = natural[-3:]
    return Influence(
        mi=sum(distance, NOTHING) / steps,
        li=sum(locked, NOTHING) / steps,
        suppression=1 - changes / still_changes if still_changes else None,
        ease_gain=ease - still_ease,
        welfare=welfare,
    )


def _by_step(behaviour: Behaviour, case: DRMDP) -> list[Sequence[Fraction]]:
    """P(θ_t = ·) for t = 1..T."""
    width = len(case.thetas)
    return [behaviour[t * width : (t + 1) * width] for t in range(case.horizon)]


def coupled_manipulation_index(policy: Policy) -> Fraction:
    """MI_c; UserError where noise is unkeyed."""
    case = policy.memory.case
    case.require_keyed("MI_c")
    apart = [
        sum((p for node, p in law.items() if node[1] != node[3]), NOTHING) for law in watched(policy, Natural(case))
    ]
    return sum(apart[1:], NOTHING) / case.horizon
