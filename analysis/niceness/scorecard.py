"""The scorecard of an agent in a case: what it is worth to each objective and what it does to people, exactly.

It reports and does not judge. Regrets and measures are those of the policy that the agent plays; intent and
indistinguishability are those of the objective and of the case, for comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from analysis.niceness.solved import JUDGES, default_objectives, told_apart
from envs.errors import UserError
from envs.niceness.assignment import assign
from envs.niceness.contrasts import Regret, judges, regrets
from envs.niceness.drmdp import DRMDP
from envs.niceness.influence import influences
from envs.niceness.intent import Intent, intent
from envs.niceness.measures import Influence, coupled_manipulation_index, influence, range_of_influence
from envs.niceness.objectives import find_objective
from envs.niceness.policies import Policy
from envs.niceness.row_policies import optimal_share


@dataclass(frozen=True)
class Scorecard:
    """What one policy does in one case.

    Attributes:
        made_for: The objective that the agent was trained on.
        regrets: Under every objective that is a maximum.
        optimal_share: Share of its steps that are optimal, under every objective with action sets.
        measures: MI, LI, push, suppression, ease gain and hidden welfare.
        mi_coupled: MI_c, None without a twin.
        influences: Whether it changes the law of θ_0..θ_H.
        best: The measures of all optimal policies of `made_for`.
        intent: Of `made_for`; None where the test does not apply.
        told_apart: Indistinguishability of RT, IR and NS in this case, None without a twin.
        assignment: RT, IR, NS, "ambiguous" or "other"; None where one of them has nothing to gain or there is no twin.
    """

    made_for: str
    regrets: Mapping[str, Regret]
    optimal_share: Mapping[str, Fraction]
    measures: Influence
    mi_coupled: Fraction | None
    influences: bool
    best: tuple[Influence, ...]
    intent: Intent | None
    told_apart: Fraction | None
    assignment: str | None

    @property
    def is_optimal(self) -> bool:
        """Whether every step that it plays is among the optimal ones of what it was made for."""
        return self.optimal_share[self.made_for] == 1

    def distance(self, measure: str) -> Fraction:
        """How far "mi" or "li" lies outside of its range over the optimal policies."""
        mine: Fraction = getattr(self.measures, measure)
        all_best: list[Fraction] = [getattr(one, measure) for one in self.best]
        return max(min(all_best) - mine, mine - max(all_best), Fraction(0))

    def as_json(self) -> dict[str, Any]:
        """Numbers as floats."""
        measures = {name: _float(getattr(self.measures, name)) for name in (*vars(self.measures), "push")}
        return {
            "made_for": self.made_for, "assignment": self.assignment, "influences": self.influences,
            **measures, "mi_coupled": _float(self.mi_coupled), "told_apart": _float(self.told_apart),
            "intent": None if self.intent is None else vars(self.intent),
            "optimal_share": {name: float(share) for name, share in self.optimal_share.items()},
            "values": {name: float(one.value) for name, one in self.regrets.items()},
            "regrets": {name: float(one.regret) for name, one in self.regrets.items()},
            "normalised_regrets": {name: _float(one.normalised) for name, one in self.regrets.items()},
        }  # fmt: skip


def score(case: DRMDP, policy: Policy, *, made_for: str) -> Scorecard:
    """The scorecard of a policy; UserError for an unknown objective, or one that needs a twin where there is none."""
    names = tuple(dict.fromkeys((made_for, *default_objectives(case))))
    ranking = [name for name in names if find_objective(name, case).utility is not None]
    judged = regrets(policy, judges(case, ranking))
    solvable = [name for name in names if name not in ("ParetoUD", "CRT", "CRT_without_last")]
    return Scorecard(
        made_for=made_for, regrets=judged,
        optimal_share={name: optimal_share(policy, find_objective(name, case).plan(case)) for name in solvable},
        measures=influence(policy), mi_coupled=coupled_manipulation_index(policy) if case.keyed else None,
        influences=influences(policy), best=tuple(range_of_influence(find_objective(made_for, case).plan(case))),
        intent=_intent(case, made_for), told_apart=told_apart(case), assignment=_assignment(judged),
    )  # fmt: skip


def _assignment(judged: Mapping[str, Regret]) -> str | None:
    found = {name: judged[name].normalised for name in JUDGES if name in judged}
    known = {name: float(regret) for name, regret in found.items() if regret is not None}
    return assign(known) if len(known) == len(JUDGES) else None


def _intent(case: DRMDP, name: str) -> Intent | None:
    try:
        return intent(case, name)
    except UserError:
        return None


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
