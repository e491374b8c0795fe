"""Where the exact answers about TRIAD change as an agent gains power: experiments E1, E2, E3, E7 and E13."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from analysis.niceness.solved import Ends
from analysis.niceness.thresholds import STEP, threshold
from envs.niceness.backward import Solution
from envs.niceness.case_registry import make_case
from envs.niceness.contrasts import have_a_common_optimum, indistinguishability, utility_of
from envs.niceness.depth import planned_to_depth
from envs.niceness.influence import has_influence_incentive, share_that_influences
from envs.niceness.measures import range_of_influence
from envs.niceness.objectives import find_objective
from envs.niceness.policies import Policy, expected
from envs.niceness.target_size import target_size
from envs.niceness.utilities import Present

CURVES = ("RT", "IR", "NS", "CRT", "PSO", "Myopic")
# Where a first, second, ... attempt begins to pay, and shortly before and after, so that a figure shows a step.
STEPS = {
    Fraction(1, k) + aside for k in (2, 3, 4, 5, 6) for aside in (Fraction(-1, 500), Fraction(0), Fraction(1, 500))
}
POWERS = tuple(sorted({Fraction(i, 20) for i in range(21)} | STEPS))
TARGET_POWERS = tuple(Fraction(k) for k in ("0", "1/10", "1/5", "1/4", "1/3", "2/5", "1/2", "3/5", "3/4", "9/10", "1"))


@dataclass(frozen=True)
class Curve:
    """MI and LI over all optimal policies of an objective, at each of POWERS."""

    world: str
    objective: str
    mi: tuple[Ends, ...]
    li: tuple[Ends, ...]


def curve(world: str, objective: str, powers: Sequence[Fraction] = POWERS) -> Curve:
    """E1: an objective against κ."""
    mi, li = [], []
    for kappa in powers:
        case = make_case(world, kappa=kappa)
        found = range_of_influence(find_objective(objective, case).plan(case))
        mi.append((min(one.mi for one in found), max(one.mi for one in found)))
        li.append((min(one.li for one in found), max(one.li for one in found)))
    return Curve(world, objective, tuple(mi), tuple(li))


def power_threshold(objective: str, world: str, **options: Any) -> Fraction | None:
    """E1 and E2: the κ above which every optimal policy influences; None where none up to 1 is enough."""

    def influences(kappa: Fraction) -> bool:
        case = make_case(world, kappa=kappa, **options)
        return has_influence_incentive(utility_of(objective, case))

    return threshold(influences, low=Fraction(0), high=Fraction(1))


def depth_threshold(objective: str, depth: int) -> Fraction | None:
    """E2: the κ above which a planner that sees `depth` steps influences TRIAD whatever ties it breaks how."""

    def influences(kappa: Fraction) -> bool:
        case = make_case("TRIAD", kappa=kappa)
        plan = planned_to_depth(utility_of(objective, case), depth)
        return share_that_influences(plan) == "all"

    return threshold(influences, low=Fraction(0), high=Fraction(1))


def weak_equality(T: int, *, generic: bool) -> tuple[Fraction, bool]:
    """E3: indistinguishability of RT, IR and NS without power, d = 3, and whether one policy is optimal for all."""
    case = make_case("TRIAD-G" if generic else "TRIAD", T=T, d=3, kappa=0)
    names = ("RT", "IR", "NS")
    return indistinguishability(case, names), have_a_common_optimum(case, names)


@dataclass(frozen=True)
class Onset:
    """E7: what an agent with work of its own does as niceness gains weight.

    Attributes:
        weight: λ above which it no longer only works.
        first: What it then does first: "influence" or "help".
    """

    weight: Fraction | None
    first: str


def onset(objective: str, **options: Any) -> Onset:
    """The onset of "PR-self + λ objective" in TRIAD with work worth 1; λ up to 4."""
    case = make_case("TRIAD", work=1, **options)
    only_work = Policy(Present(case), lambda time, node: {case.actions.index("work"): Fraction(1)})

    def mixture(weight: Fraction) -> str:
        return f"PR-self + {weight} {objective}"

    def departs(weight: Fraction) -> bool:
        utility = utility_of(mixture(weight), case)
        return Solution(utility).value > expected(only_work, utility)

    weight = threshold(departs, low=Fraction(0), high=Fraction(4))
    if weight is None:
        return Onset(None, "neither")
    share = share_that_influences(find_objective(mixture(weight + STEP), case).plan(case))
    return Onset(weight, {"all": "influence", "none": "help"}.get(share, "either"))


@dataclass(frozen=True)
class Target:
    """E13: the share of mixtures of three objectives that have an influence-free optimum, at each of TARGET_POWERS."""

    name: str
    objectives: tuple[str, str, str]
    options: dict[str, Any]
    shares: tuple[Fraction, ...]


FAMILIES: tuple[tuple[str, tuple[str, str, str], dict[str, Any]], ...] = (
    ("RT, IR, NS", ("RT", "IR", "NS"), {}),
    ("RT, IR, self; may withhold", ("RT", "IR", "PR-self"), {"gain": 1, "withholds": True}),
    ("RT, NS, self; may withhold", ("RT", "NS", "PR-self"), {"gain": 1, "withholds": True}),
)


def targets() -> tuple[Target, ...]:
    """E13 for each of FAMILIES."""
    return tuple(
        Target(
            name, objectives, options,
            tuple(target_size(make_case("TRIAD", kappa=k, **options), objectives=objectives) for k in TARGET_POWERS),
        )
        for name, objectives, options in FAMILIES
    )  # fmt: skip
