"""Optimal action sets in words: "hA ×3, hB ×3", "persuade, hE ×5", "A: persuade / E: hE ×5"."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from envs.niceness.plans import Plan
from envs.niceness.utilities import Node, branches

HOW_TO_READ = (
    "`policy` gives the optimal actions step by step: `|` stands between actions that are equally good, `/` between "
    "places where others are best (`A: hA / E: hE`, by θ or by state and θ), `×2` after what is done twice running, "
    "and `…` where the rest is too long for a table; solve.json has all of it."
)
LONGEST = 100
"""Characters of a policy in a table."""


def shortened(policy: str, longest: int = LONGEST) -> str:
    """The first steps of a policy in words, as many as are no longer than that, but one at least."""
    if len(policy) <= longest:
        return policy
    first, *steps = policy.split(", ")
    for step in steps:
        if len(first) + len(step) + 5 > longest:
            break
        first += f", {step}"
    return f"{first}, …"


def in_words(plan: Plan) -> str:
    """What a plan does at each step, over all nodes that its optimal actions reach.

    Actions that are equally good stand with "|" between them. Where what is best depends on where the person or the
    world stands, parts with "/" between them say so: by θ where that is enough, else by state and θ.
    """
    nodes, steps = {plan.memory.start()}, []
    for time in range(plan.memory.case.horizon):
        sets = {node: plan.actions(time, node) for node in nodes}
        steps.append(_one_step(plan, sets))
        nodes = {after for node, best in sets.items() for a in best for after in branches(plan.memory, node, a)}
    runs = [(step, len(list(run))) for step, run in itertools.groupby(steps)]
    return ", ".join(step if length == 1 else f"{step} ×{length}" for step, length in runs)


def _one_step(plan: Plan, sets: Mapping[Node, tuple[int, ...]]) -> str:
    case = plan.memory.case
    texts = {node: "|".join(case.actions[action] for action in best) for node, best in sets.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    by_theta = {(case.thetas[node[1]], text) for node, text in texts.items()}
    by_place = {(f"{case.states[node[0]]} {case.thetas[node[1]]}", text) for node, text in texts.items()}
    told = by_theta if len({theta for theta, _ in by_theta}) == len(by_theta) else by_place
    return " / ".join(f"{where}: {text}" for where, text in sorted(told))
