"""What a world pays its steps by: an objective as weights of the world's named reward components.

`Myopic` is RT at discount 0, which the world takes care of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from envs.errors import UserError, nearest
from envs.niceness.mixtures import terms_of
from envs.niceness.objectives import OBJECTIVES

MYOPIC = "Myopic"
UNSEEN = "welfare"
"""The component that no objective may count."""


def reward_weights(
    text: str, components: Sequence[str], *, refused: Mapping[str, str] | None = None
) -> npt.NDArray[np.float64]:
    """The weight of each component of a world under an objective: float64[C].

    Args:
        text: As `terms_of`, or "Myopic", which weighs RT alone.
        components: C names.
        refused: Components that this world lacks, with the cause.

    Raises:
        UserError: As `terms_of`; a component that is unknown or hidden; one that the world lacks.
    """
    weights: dict[str, float] = {}
    for weight, name in terms_of("RT" if text == MYOPIC else text):
        if name in (refused or {}):
            raise UserError(f"objective is {text!r}, but {(refused or {})[name]}")
        known = [one for one in components if one != UNSEEN]
        if name not in known:
            allowed = f"allowed are {', '.join(known)}, sums of these, and {MYOPIC}"
            if name in OBJECTIVES and OBJECTIVES[name].unpaid:
                readings = ", as are CRT_without_last and CRT_mask, other readings of it" if name == "CRT" else ""
                where = "in cases, and in the village by itself" if name == "NS_lit" else "in cases alone"
                raise UserError(
                    f"objective is {text!r}, but no world pays its steps by {name}, which {OBJECTIVES[name].unpaid}, "
                    f"so that it is solved (valuelab niceness solve) {where}, and not trained{readings}; {allowed}."
                )
            raise UserError(
                f"objective is {text!r}, which names {name!r}; {allowed}.{nearest(name, [*known, MYOPIC])}"
            )
        weights[name] = 1.0 if weight is None else float(weight)
    return np.array([weights.get(name, 0.0) for name in components])
