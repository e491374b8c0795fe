"""Objectives that are reward functions, as weights of a world's named reward components.

    RT    IR    NS    PR-B    Myopic    0.5*RT+0.5*IR

`Myopic` is RT at discount 0, which the world takes care of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from envs.errors import UserError, nearest

MYOPIC = "Myopic"
UNSEEN = "welfare"
"""The component that no objective may count."""


def read_mixture(text: str) -> dict[str, float]:
    """An objective's components and their weights, such as {"RT": 0.5, "IR": 0.5} for "0.5*RT+0.5*IR".

    Args:
        text: Names of components joined by +, each with a finite number >= 0 and * before it, or alone.

    Raises:
        UserError: Another form, a component named twice, or all weights 0.
    """
    weights: dict[str, float] = {}
    for term in text.split("+") if isinstance(text, str) else [""]:
        weight, _, name = term.strip().rpartition("*")
        number = _number(weight) if weight else 1.0
        if not name.strip() or name.strip() in weights or not 0.0 <= number < math.inf:
            raise UserError(
                f"objective is {text!r}, allowed is a component such as RT or a sum such as 0.5*RT+0.5*IR, with each "
                "component once and finite weights of at least 0; write one."
            )
        weights[name.strip()] = number
    if not any(weights.values()):
        raise UserError(f"objective is {text!r}, whose weights are all 0; give one of them a larger weight.")
    return weights


def reward_weights(text: str, components: Sequence[str], *, refused: Mapping[str, str]) -> npt.NDArray[np.float64]:
    """The weight of each component of a world under an objective: float64[C].

    Args:
        text: As `read_mixture`, or "Myopic", which weighs RT alone.
        components: C names.
        refused: Components that this world lacks, with the cause.

    Raises:
        UserError: As `read_mixture`; an unknown component; one that the world lacks, or that is hidden.
    """
    weights = read_mixture("RT" if text == MYOPIC else text)
    known = [name for name in components if name != UNSEEN]
    for name in weights:
        if name in refused:
            raise UserError(f"objective is {text!r}, but {refused[name]}")
        if name not in known:
            hint = nearest(name, [*known, MYOPIC])
            raise UserError(
                f"objective is {text!r}, which names {name!r}; allowed are {', '.join(known)}, sums of them, and "
                f"{MYOPIC}.{hint}"
            )
    return np.array([weights.get(name, 0.0) for name in components])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
