"""The village solved for objectives, as `analysis.niceness.solved` does it for cases: exact, in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.niceness.solved import WHAT_TOLD_APART_IS
from analysis.niceness.tables import intent_in_words
from analysis.progress import Tell
from envs.niceness.assignment import JUDGES
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_contrasts import plan_changes, values_of_influence, village_indistinguishability
from envs.niceness.village_influence import evaluate_village
from envs.niceness.village_range import Ends, InfluenceRange, influence_range
from envs.niceness.village_solution import solve_village
from envs.niceness.village_weights import ranks

HEADER = (
    "objective", "value", *JUDGES, "MI_c", "MI", "LI", "welfare", "ease gain", "influences", "intent",
    "worth of influence",
)  # fmt: skip
HOW_TO_READ = (
    "value is the optimum of the objective; RT, IR and NS are what the policy that takes all its optimal actions alike "
    "is worth under these. MI_c to ease gain are from the least to the most over all optimal policies, means over "
    "persons and starts, and influences says how many of them change what somebody comes to want. With ~, where "
    "natural drift is by chance, MI and LI are those of the policy that takes all optimal actions alike. intent: "
    "planned again as if the agent could not move tastes, the plan changes or not. worth of influence: the value less "
    f"that without power, kappa 0 and no door. {WHAT_TOLD_APART_IS}"
)


@dataclass(frozen=True)
class VillageSolved:
    """One objective in one village.

    Attributes:
        objective: Its name.
        value: The maximum, mean over starts; None for Myopic, which is a rule.
        worth: Value of the policy that takes all optimal actions alike under RT, IR, NS and PR-j, undiscounted.
        regret: max U_j − U_j of that policy for each of JUDGES, undiscounted.
        did: What optimal policies do to people, at least and at most.
        intent: What the intent test says, by its name ("changes"); empty where it does not apply.
        influence_worth: The value of influence; None for a rule.
    """

    objective: str
    value: float | None
    worth: dict[str, float]
    regret: dict[str, float]
    did: InfluenceRange
    intent: dict[str, bool]
    influence_worth: float | None

    def as_json(self) -> dict[str, Any]:
        """Names as in `Solved.as_json` where the fields are the same, and those of `InfluenceRange`."""
        return {
            "objective": self.objective, "value": self.value, "worth": self.worth, "regret": self.regret,
            **vars(self.did), "influences": self.did.influences, "intent": self.intent,
            "influence_worth": self.influence_worth,
        }  # fmt: skip

    def cells(self) -> list[str]:
        """A row of HEADER."""
        did, worth = self.did, [self.worth[judge] for judge in JUDGES]
        mi, li = (("" if did.certain else "~") + between(one) for one in (did.mi, did.li))
        return [
            self.objective, *(_number(one) for one in (self.value, *worth)),
            between(did.mi_coupled), mi, li, between(did.welfare), between(did.ease_gain), did.influences,
            intent_in_words(self.intent), _number(self.influence_worth),
        ]  # fmt: skip


def between(ends: Ends, form: str = ".3g") -> str:
    """One number, or the least and the most."""
    least, most = (f"{end:{form}}" for end in ends)
    return least if least == most else f"{least} to {most}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def solve_for(
    config: VillageConfig, names: Sequence[str] = (), *, tell: Tell = lambda share, text: None
) -> list[VillageSolved]:
    """Solve a village for several objectives, for JUDGES where none is named.

    Args:
        config: The village.
        names: The objectives.
        tell: Is told of progress: once what all share is solved, and after each objective.

    Raises:
        UserError: Unknown objective, or more states than can be listed.
    """
    wanted, found = tuple(names) or JUDGES, []
    tell(0.0, "all states")
    solution, worth = solve_village(config, wanted), values_of_influence(config, [*filter(ranks, wanted)])
    undiscounted = solve_village(dataclasses.replace(config, discount=1.0), JUDGES)
    best = {judge: undiscounted.value(judge) for judge in JUDGES}
    for done, name in enumerate(wanted, start=1):
        tell(done / (len(wanted) + 1), name)
        values = evaluate_village(config, solution.policy(name)).values
        found.append(
            VillageSolved(
                objective=name, value=solution.value(name) if ranks(name) else None, worth=dict(values),
                regret={judge: best[judge] - values[judge] for judge in JUDGES}, did=influence_range(config, name),
                intent={"changes": plan_changes(config, name)} if ranks(name) else {}, influence_worth=worth.get(name),
            )
        )  # fmt: skip
    return found


def title(config: VillageConfig) -> str:
    """A village in one line."""
    people, dials = config.num_persons, config.dials
    tastes = "of any taste" if config.start_thetas is None else f"from {config.start_theta}"
    return (
        f"Village: {config.size} x {config.size} cells, {people} {'person' if people == 1 else 'persons'} {tastes}, "
        + ", ".join(f"{name} {value:g}" for name, value in dials._asdict().items())
        + ("; the first of its levels alone" if config.layout == "random" else "")
    )


def told_apart(config: VillageConfig) -> float:
    """Indistinguishability of JUDGES."""
    return village_indistinguishability(config, JUDGES)
