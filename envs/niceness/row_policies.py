"""What an agent does in the rows of a case's world, as a policy of the exact process; and whether it is optimal."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from envs.errors import UserError
from envs.niceness.case_world import FIRST_THETA, LEFT, NATURAL_STATE
from envs.niceness.drmdp import DRMDP
from envs.niceness.plans import Plan
from envs.niceness.policies import Policy, laws
from envs.niceness.utilities import NOTHING, Natural, Node, Present
from envs.states import Integers, Rows


def policy_on_rows(case: DRMDP, rows: Rows, actions: Integers | Sequence[int]) -> Policy:
    """The policy that takes an action at each row; it remembers the natural twin where there is one, as rows do.

    Args:
        case: The process from its start; rows of other θ_0 are left out.
        rows: int16[N, 6] of running episodes of its world.
        actions: int64[N].

    Raises:
        UserError: When the policy is asked for what it does at a node that is none of the rows.
    """
    width = 4 if case.keyed else NATURAL_STATE
    chosen = {
        (case.horizon - int(row[LEFT]), tuple(map(int, row[:width]))): int(action)
        for row, action in zip(np.asarray(rows), actions, strict=True)
        if row[FIRST_THETA] == case.start[1]
    }

    def law(time: int, node: Node) -> dict[int, Fraction]:
        if (time, node) not in chosen:
            raise UserError(f"No row of {case.name} stands for {node} at step {time}; give all rows that it reaches.")
        return {chosen[time, node]: Fraction(1)}

    return Policy(Natural(case) if case.keyed else Present(case), law)


def optimal_share(policy: Policy, plan: Plan) -> Fraction:
    """(1/T) Σ_t P_π(a_t is among the optimal actions where π has come); 1 iff the policy is optimal as it plays."""
    total = NOTHING
    for time, law in enumerate(laws(policy, plan.memory)[:-1]):
        for (mine, seen), weight in law.items():
            best = plan.actions(time, seen)
            total += weight * sum((p for action, p in policy.law(time, mine).items() if action in best), NOTHING)
    return total / policy.memory.case.horizon
