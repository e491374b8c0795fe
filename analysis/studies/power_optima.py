"""What policies of TRIAD do at several powers, exactly, and the optimum of who does not see which power it is.

Who does not see κ learns it only from an attempt that fails or succeeds, and both show: before the first success its
history is its own plan, so that its optimum is the best of all plans "persuade in these steps, else help". Lock and
wait are left out: under RT each costs the help of its step and gains nothing.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from fractions import Fraction

from analysis.cells import Row
from analysis.studies.niceness_calibration import ENV_ID
from envs.enumeration import TabularMDP, enumerate_world
from envs.niceness.case_configs import case_of
from envs.niceness.drmdp import DRMDP
from envs.niceness.measures import influence
from envs.niceness.policies import Policy, expected
from envs.niceness.utilities import Move, Node, Present
from envs.registry import make_world
from envs.rows import World

KAPPAS = (0.0, 0.1, 0.5, 1.0)
Steps = tuple[bool, ...]


@dataclass(frozen=True)
class Attempts(Present):
    """As a utility: the expected number of attempts to persuade."""

    def pay(self, time: int, node: Node, move: Move) -> Fraction:
        """1 for an attempt."""
        return Fraction(self.case.actions[move[0]] == "persuade")


@functools.cache
def states_of(kappa: float) -> tuple[DRMDP, World, TabularMDP]:
    """The process at a power, its world and all states."""
    world = make_world(ENV_ID, kappa=kappa)
    return case_of(world.config), world, enumerate_world(world, world.levels("train"))


def measured(kappa: float, policy: Policy) -> Row:
    """What a policy does at a power, exactly; it tries if it attempts to persuade at all."""
    case = states_of(kappa)[0]
    return {
        "MI": float(influence(policy).mi),
        "tries": float(expected(policy, Attempts(case)) > 0),
        "RT": float(expected(policy, Present(case))),
    }


def persuading(case: DRMDP, steps: Steps) -> Policy:
    """Persuade in these steps until it succeeds, and help in all others."""
    persuade = case.actions.index("persuade")

    def law(time: int, node: Node) -> dict[int, Fraction]:
        theta = case.thetas[node[1]]
        tries = steps[time] and theta != "E"
        return {persuade if tries else case.actions.index(f"h{theta}"): Fraction(1)}

    return Policy(Present(case), law)


@functools.cache
def hidden_optimum() -> tuple[Fraction, list[Steps]]:
    """The highest mean RT over the powers for who does not see κ, and all plans that have it."""
    cases = [states_of(kappa)[0] for kappa in KAPPAS]
    worth = {
        steps: sum((expected(persuading(case, steps), Present(case)) for case in cases), Fraction(0)) / len(cases)
        for steps in itertools.product((True, False), repeat=cases[0].horizon)
    }
    best = max(worth.values())
    return best, [steps for steps, value in worth.items() if value == best]
