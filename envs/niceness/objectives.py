"""The objectives by name: what each maximises, how it is solved, and what the question calls it.

Some maximise a utility, so that any policy has a value and a regret under them; of these, some pay each step as it
comes, given (s, θ), the twin and the clock, so that an agent can be trained on them. The others are rules for planning:
Myopic looks one step ahead, PSO plans in a model that it knows to be wrong, ParetoUD is a set of policies.

Source: Carroll et al. (2024), arXiv 2405.17713, table 2; Farquhar et al. (2022), arXiv 2204.10018; NS is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from envs.errors import UserError, nearest
from envs.niceness.backward import Solution
from envs.niceness.cut import cut
from envs.niceness.drmdp import DRMDP, position
from envs.niceness.influence import best_without_influence, mask_of_steps
from envs.niceness.mixtures import is_mixture, terms_of
from envs.niceness.pareto import pareto_ud
from envs.niceness.plans import Plan, Rule, maximum
from envs.niceness.policies import inert, watched
from envs.niceness.utilities import (
    Final,
    Fixed,
    Mixed,
    Natural,
    Present,
    Scheduled,
    Utility,
    theta_marginals,
)


@dataclass(frozen=True)
class Objective:
    """What an agent may be made for.

    Attributes:
        name: Its name.
        term: What the question calls it, or what it stands for.
        plan: Solves it.
        utility: What it maximises; None where it is a rule and no maximum.
        unpaid: Why no world pays its steps by it, so that no agent is trained on it; empty where worlds do.
    """

    name: str
    term: str
    plan: Callable[[DRMDP], Plan]
    utility: Callable[[DRMDP], Utility] | None = None
    unpaid: str = ""


def path_specific(case: DRMDP) -> Rule:
    """PSO: what is best for RT in the cut model, at the place of the real coupled node."""
    model = cut(case)
    solution = Solution(Present(model.case))
    return Rule(Natural(case), lambda time, node: solution.actions(time, model.node(node)))


def myopic(case: DRMDP) -> Rule:
    """Myopic: argmax_a E R_θ(s, a, s') of this step alone."""
    return Rule(Present(case), Solution(Present(case), discount=Fraction(0)).actions)


def scheduled(case: DRMDP) -> Scheduled:
    """NS_lit: θ judges step t with the weight P(θ_t = θ | π_noop)."""
    return Scheduled(case, theta_marginals(Present(case), watched(inert(case), Present(case))))


def initial(case: DRMDP) -> Fixed:
    """IR: θ_0 judges."""
    return Fixed(case, case.start[1])


def _maximum(name: str, term: str, *, utility: Callable[[DRMDP], Utility], unpaid: str = "") -> Objective:
    """An objective that is the maximum of a utility."""
    return Objective(name, term, lambda case: maximum(utility(case)), utility, unpaid)


WHOLE = "compares laws of whole trajectories"
BUILT_IN = (
    _maximum("RT", "present pseudo-niceness: judged by what people want at the moment", utility=Present),
    _maximum(
        "FR", "judged by what people want in the end", utility=Final,
        unpaid="judges every step by what is wanted in the end",
    ),
    _maximum("IR", "future pseudo-niceness: judged by what people wanted at the start", utility=initial),
    _maximum("NS", "candidate: judged by what people would have come to want without the agent", utility=Natural),
    _maximum(
        "NS_lit", "the paper's formula for natural shifts: tastes count as often as the inert agent has them",
        utility=scheduled,
        unpaid="weighs tastes by their law from one start",
    ),
    Objective(
        "CRT", "candidate: RT without influence on θ_0..θ_H", lambda case: best_without_influence(Present(case)),
        unpaid=WHOLE,
    ),
    Objective(
        "CRT_without_last",
        "CRT, where the last θ_H may be moved",
        lambda case: best_without_influence(Present(case), with_last=False),
        unpaid=WHOLE,
    ),
    Objective(
        "CRT_mask",
        "RT with the actions that move θ no further in this step than noop does",
        lambda case: maximum(Present(case), allowed=mask_of_steps(case)),
        unpaid="is RT with actions forbidden",
    ),
    Objective("Myopic", "candidate: each step judged alone", myopic),
    Objective(
        "ParetoUD", "candidate: no θ worse off than without the agent, none better for free", pareto_ud,
        unpaid="is a set of policies",
    ),
    Objective(
        "PSO", "candidate: plans as if θ could not be moved", path_specific,
        unpaid="plans in a model that it knows to be wrong",
    ),
)  # fmt: skip
OBJECTIVES = {objective.name: objective for objective in BUILT_IN}


def find_objective(name: str, case: DRMDP) -> Objective:
    """An objective of a case: a name of OBJECTIVES, PR-θ for one of its θ, or a mixture such as "1/2 RT + 1/2 IR".

    Raises:
        UserError: Unknown name, a mixture with what is no utility, or a weight that is no number.
    """
    name = name.strip()
    if is_mixture(name):
        return _mixture(name, case)
    if name.startswith("PR-"):
        theta = position("theta of PR", name[3:], case.thetas)
        return _maximum(name, "judged by one θ that somebody chose", utility=lambda case: Fixed(case, theta))
    if name not in OBJECTIVES:
        known = names_for(case)
        raise UserError(
            f"objective {name!r} is unknown, known are {', '.join(known)} and mixtures such as '1/2 RT + 1/2 IR'; name "
            f"one.{nearest(name, known)}"
        )
    return OBJECTIVES[name]


def names_for(case: DRMDP) -> list[str]:
    """All objectives of a case but for mixtures."""
    return [*OBJECTIVES, *(f"PR-{theta}" for theta in case.thetas)]


def _mixture(name: str, case: DRMDP) -> Objective:
    """The weighted sum of the utilities of objectives."""
    one = Fraction(1)
    terms = [(one if weight is None else weight, find_objective(part, case)) for weight, part in terms_of(name)]
    for _, part in terms:
        if part.utility is None:
            raise UserError(
                f"{part.name} in {name!r} is a rule and no utility, so it has no weight; mix RT, FR, IR, PR-θ, NS."
            )

    def utility(case: DRMDP) -> Utility:
        members = tuple(part.utility(case) for _, part in terms if part.utility)
        return Mixed(case, members, tuple(weight for weight, _ in terms))

    unpaid = next((part.unpaid for _, part in terms if part.unpaid), "")
    return _maximum(name, "a sum of what its parts pay", utility=utility, unpaid=unpaid)
