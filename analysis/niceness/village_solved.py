"""The village solved for objectives, as `analysis.niceness.solved` does it for cases: exact, in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.niceness.scorecard import MEASURES
from analysis.niceness.solved import JUDGES, WHAT_TOLD_APART_IS
from analysis.niceness.tables import intent_in_words
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_contrasts import plan_changes, values_of_influence, village_indistinguishability
from envs.niceness.village_influence import Influence, evaluate_village, influence_range
from envs.niceness.village_solution import solve_village
from envs.niceness.village_weights import ranks

HEADER = (
    "objective", "value", *JUDGES, "MI_c", "MI", "LI", "welfare", "ease gain", "influences", "intent",
    "worth of influence",
)  # fmt: skip
HOW_TO_READ = (
    "value is the optimum of the objective; RT, IR and NS are what the policy that takes all its optimal actions alike "
    "is worth under these, and MI to ease gain what it does to people, means over persons and starts. MI_c is from the "
    "least to the most over all optimal policies. intent: planned again as if the agent could not move tastes, the "
    "plan changes or not. worth of influence: the value less that without power, kappa 0 and no door. "
    f"{WHAT_TOLD_APART_IS}"
)


@dataclass(frozen=True)
class VillageSolved:
    """One objective in one village.

    Attributes:
        objective: Its name.
        value: The maximum, mean over starts; None for Myopic, which is a rule.
        measures: What the policy that takes all optimal actions alike is worth and does.
        regret: max U_j − U_j of that policy for each of JUDGES, undiscounted.
        mi_coupled: Least and most MI_c over all optimal policies.
        intent: What the intent test says, by its name ("changes"); empty where it does not apply.
        influence_worth: The value of influence; None for a rule.
    """

    objective: str
    value: float | None
    measures: Influence
    regret: dict[str, float]
    mi_coupled: tuple[float, float]
    intent: dict[str, bool]
    influence_worth: float | None

    def as_json(self) -> dict[str, Any]:
        """Names as in `Solved.as_json` where the fields are the same."""
        found = {name: getattr(self.measures, name) for name in MEASURES}
        return {
            "objective": self.objective, "value": self.value, "worth": dict(self.measures.values),
            "regret": self.regret, **found, "mi_coupled": self.mi_coupled, "influences": self.measures.influences,
            "intent": self.intent, "influence_worth": self.influence_worth,
        }  # fmt: skip

    def cells(self) -> list[str]:
        """A row of HEADER."""
        did = self.measures
        worth = [did.values[judge] for judge in JUDGES]
        least, most = (f"{end:.3g}" for end in self.mi_coupled)
        return [
            self.objective, *(_number(one) for one in (self.value, *worth)),
            least if least == most else f"{least} to {most}",
            *(f"{one:.3g}" for one in (did.mi, did.li, did.welfare, did.ease_gain)),
            "yes" if did.influences else "no", intent_in_words(self.intent), _number(self.influence_worth),
        ]  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def solve_for(config: VillageConfig, names: Sequence[str] = ()) -> list[VillageSolved]:
    """Solve a village for several objectives, for JUDGES where none is named.

    Raises:
        UserError: Unknown objective, or more states than can be listed.
    """
    wanted = tuple(names) or JUDGES
    solution, worth = solve_village(config, wanted), values_of_influence(config, [*filter(ranks, wanted)])
    undiscounted = solve_village(dataclasses.replace(config, discount=1.0), JUDGES)
    best = {judge: undiscounted.value(judge) for judge in JUDGES}
    found = {name: evaluate_village(config, solution.policy(name)) for name in wanted}
    return [
        VillageSolved(
            objective=name, value=solution.value(name) if ranks(name) else None, measures=did,
            regret={judge: best[judge] - did.values[judge] for judge in JUDGES},
            mi_coupled=influence_range(config, name),
            intent={"changes": plan_changes(config, name)} if ranks(name) else {}, influence_worth=worth.get(name),
        )
        for name, did in found.items()
    ]  # fmt: skip


def title(config: VillageConfig) -> str:
    """A village in one line."""
    people, dials = config.num_persons, config.dials
    tastes = "of any taste" if config.start_thetas is None else f"from {config.start_theta}"
    return (
        f"Village: {config.size} x {config.size} cells, {people} {'person' if people == 1 else 'persons'} {tastes}, "
        + ", ".join(f"{name} {value:g}" for name, value in dials._asdict().items())
    )


def told_apart(config: VillageConfig) -> float:
    """Indistinguishability of JUDGES."""
    return village_indistinguishability(config, JUDGES)
