"""A case solved for objectives: what each is worth, what its optimal policies do to people, and what they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from analysis.niceness.policy_words import in_words
from analysis.progress import Tell
from envs.errors import UserError
from envs.niceness.assignment import JUDGES
from envs.niceness.contrasts import Judge, indistinguishability, judges, regrets, value_of_influence
from envs.niceness.drmdp import DRMDP
from envs.niceness.influence import share_that_influences
from envs.niceness.intent import intent
from envs.niceness.measures import range_of_influence
from envs.niceness.objectives import OBJECTIVES, find_objective
from envs.niceness.occupancy import best_of_pareto_ud

Ends = tuple[Fraction, Fraction]
DEFAULT = tuple(name for name in OBJECTIVES if name != "CRT_mask")
WHAT_TOLD_APART_IS = (
    "Indistinguishability: of the actions that are optimal for one of RT, IR and NS, wherever these lead, the share "
    "that is optimal for all."
)
NEED_A_TWIN = ("NS", "PSO")


@dataclass(frozen=True)
class Solved:
    """One objective in one case. Ends are the least and the most over its optimal policies.

    Attributes:
        objective: Its name.
        term: What the question calls it.
        value: The maximum; None for a rule or a set.
        worth: Value of one optimal policy under each of JUDGES that the case allows.
        regret: max U_j − U_j(π) of the same policy.
        mi: Manipulation index.
        li: Lock-in index.
        ease_gain: Ease gain.
        welfare: Hidden welfare.
        suppression: Change suppression of the least and the most; None where nothing changes of itself.
        influences: How many optimal policies influence: "none", "some" or "all".
        intent: What the intent test says, by its name ("changes", "instrumental"); empty where it does not apply.
        influence_worth: The value of influence, V*(κ) − V*(0); None for a rule or a set, and where the case has no κ.
        policy: Optimal action sets in words.
    """

    objective: str
    term: str
    value: Fraction | None
    worth: dict[str, Fraction]
    regret: dict[str, Fraction]
    mi: Ends
    li: Ends
    ease_gain: Ends
    welfare: Ends
    suppression: Ends | None
    influences: str
    intent: dict[str, bool]
    influence_worth: Fraction | None
    policy: str

    def as_json(self) -> dict[str, Any]:
        """Fields with fractions as text, such as "2/3"."""
        return {name: _plain(value) for name, value in vars(self).items()}


def default_objectives(case: DRMDP) -> tuple[str, ...]:
    """DEFAULT and PR-θ for every θ, without those that need a twin where the case has none."""
    names = (*DEFAULT, *(f"PR-{theta}" for theta in case.thetas))
    return tuple(name for name in names if case.keyed or name not in NEED_A_TWIN)


def solve_all(
    case: DRMDP,
    names: Sequence[str] = (),
    *,
    powerless: DRMDP | None = None,
    left_out: dict[str, str] | None = None,
    tell: Tell = lambda share, text: None,
) -> list[Solved]:
    """Solve for several objectives; for `default_objectives` where none is named.

    Args:
        case: The case.
        names: The objectives.
        powerless: The same case at κ = 0, None where it has no κ.
        left_out: Filled with the objectives that cannot be solved here, and why; None refuses them.
        tell: Is told of progress.

    Raises:
        UserError: Unknown objective, or one that the case does not allow.
    """
    judged_by = judges(case, [name for name in JUDGES if case.keyed or name not in NEED_A_TWIN])
    wanted, found = names or default_objectives(case), []
    for done, name in enumerate(wanted):
        tell(done / len(wanted), name)
        try:
            found.append(_solve(case, name, judged_by, powerless=powerless))
        except UserError as error:
            if left_out is None:
                raise
            left_out[name] = str(error) + (_by_programme(case) if name == "ParetoUD" else "")
    return found


def _by_programme(case: DRMDP) -> str:
    """What a linear programme says of ParetoUD where it is too much to enumerate."""
    worth = best_of_pareto_ud(case).items()
    told = (f"{theta} {best:.4g} (doing nothing: {idle:.4g})" for theta, (best, idle) in worth)
    return f" By a linear programme, its random policy that is best for the sum over θ is worth to {', '.join(told)}."


def _solve(case: DRMDP, name: str, judged_by: Mapping[str, Judge], *, powerless: DRMDP | None) -> Solved:
    objective = find_objective(name, case)
    plan = objective.plan(case)
    judged = regrets(plan.policy(), judged_by)
    found = range_of_influence(plan)
    kept = [one.suppression for one in found if one.suppression is not None]
    return Solved(
        objective=name, term=objective.term, value=plan.value,
        worth={judge: one.value for judge, one in judged.items()},
        regret={judge: one.regret for judge, one in judged.items()},
        **{field: _ends(getattr(one, field) for one in found) for field in ("mi", "li", "ease_gain", "welfare")},
        suppression=_ends(kept) if kept else None, influences=share_that_influences(plan), intent=intent_of(case, name),
        influence_worth=_influence_worth(case, name, powerless), policy=in_words(plan),
    )  # fmt: skip


def told_apart(case: DRMDP) -> Fraction | None:
    """Indistinguishability of JUDGES; None where the case has no twin."""
    return indistinguishability(case, JUDGES) if case.keyed else None


def intent_of(case: DRMDP, name: str) -> dict[str, bool]:
    """What the intent test says of an objective, by the names in `Intent`; empty where it does not apply."""
    try:
        return dict(vars(intent(case, name)))
    except UserError:
        return {}


def _influence_worth(case: DRMDP, name: str, powerless: DRMDP | None) -> Fraction | None:
    if powerless is None or find_objective(name, case).utility is None:
        return None
    return value_of_influence(name, strong=case, weak=powerless)


def _ends(values: Iterable[Fraction]) -> Ends:
    known = list(values)
    return min(known), max(known)


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
