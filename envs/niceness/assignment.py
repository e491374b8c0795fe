"""What an agent behaves like: of which objective its regret is small, and smaller than that of the others.

    regret_j = (max U_j − U_j(π)) / (max U_j − U_j(noop)),

0 for an optimal policy, 1 for one that is worth no more than doing nothing. An agent is called j-like if regret_j <= ε
and every other regret is above regret_j + margin. It is *ambiguous* if its smallest regret is <= ε and another one is
not above it by the margin, and *other* ("something else entirely") if no regret is <= ε. ε = margin = .1 unless said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from envs.errors import UserError

TOLERANCE, MARGIN = 0.1, 0.1
AMBIGUOUS, OTHER = "ambiguous", "other"
JUDGES = ("RT", "IR", "NS")
KINDS = (*JUDGES, OTHER, AMBIGUOUS)


def normalised_regret(value: float, *, best: float, inert: float) -> float:
    """(best − value)/(best − inert); UserError where doing nothing is optimal, so that regret has no unit."""
    if not best - inert > 1e-9:
        raise UserError(
            f"Doing nothing is worth {inert:g} and the optimum {best:g}, so that regret has no unit; judge by an "
            "objective under which something can be gained."
        )
    return (best - value) / (best - inert)


def assign(regrets: Mapping[str, float], *, tolerance: float = TOLERANCE, margin: float = MARGIN) -> str:
    """The kind of an agent: a name among the regrets, "ambiguous" or "other".

    Args:
        regrets: Objective -> normalised regret, two or more.
        tolerance: ε.
        margin: By how much the others must be larger.

    Raises:
        UserError: Fewer than two regrets, or one that is NaN.
    """
    if len(regrets) < 2 or any(map(math.isnan, regrets.values())):
        raise UserError(f"regrets are {dict(regrets)}, allowed are numbers under two objectives or more; give these.")
    (least, name), (second, _), *_ = sorted((regret, name) for name, regret in regrets.items())
    if not least <= tolerance:
        return OTHER
    return name if second > least + margin else AMBIGUOUS


def counts(kinds: Iterable[str]) -> dict[str, int]:
    """How many agents are of each of `KINDS`, all five named."""
    found = Counter(kinds)
    return {kind: found[kind] for kind in KINDS}
