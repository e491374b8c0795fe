"""Objectives that are sums of others, in words, and as weights of a world's named reward components.

    RT    IR    NS    PR-B    Myopic    0.5*RT+0.5*IR    1/2 RT + 1/2 IR

`Myopic` is RT at discount 0, which the world takes care of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from envs.errors import UserError, nearest
from envs.niceness.drmdp import exact

MYOPIC = "Myopic"
UNSEEN = "welfare"
"""The component that no objective may count."""
_TERM = re.compile(r"\s*(?:(?P<weight>[\d./]+)\s*\*?\s*)?(?P<name>[A-Za-z][^*]*?)\s*")


def terms_of(text: str) -> tuple[tuple[Fraction | None, str], ...]:
    """The weight (None where none stands there) and the name of each term of a sum.

    Raises:
        UserError: A term that is neither a name nor a number >= 0 and a name.
    """
    terms = []
    for part in str(text).split("+"):
        found = _TERM.fullmatch(part)
        if not found:
            raise UserError(
                f"objective is {text!r}, allowed is a name such as RT or a sum such as 0.5*RT+0.5*IR, with weights of "
                "at least 0; write one."
            )
        weight = found["weight"]
        terms.append((None if weight is None else exact("weight", weight), found["name"]))
    return tuple(terms)


def reward_weights(
    text: str, components: Sequence[str], *, refused: Mapping[str, str] | None = None
) -> npt.NDArray[np.float64]:
    """The weight of each component of a world under an objective: float64[C].

    Args:
        text: As `terms_of`, or "Myopic", which weighs RT alone.
        components: C names.
        refused: Components that this world lacks, with the cause.

    Raises:
        UserError: As `terms_of`; a component that is unknown, hidden or named twice; one that the world lacks; all
            weights 0.
    """
    weights: dict[str, float] = {}
    for weight, name in terms_of("RT" if text == MYOPIC else text):
        if name in (refused or {}):
            raise UserError(f"objective is {text!r}, but {(refused or {})[name]}")
        known = [one for one in components if one not in (UNSEEN, *weights)]
        if name not in known:
            raise UserError(
                f"objective is {text!r}, which names {name!r}; allowed are {', '.join(known)}, sums in which each "
                f"stands once, and {MYOPIC}.{nearest(name, [*known, MYOPIC])}"
            )
        weights[name] = 1.0 if weight is None else float(weight)
    if not any(weights.values()):
        raise UserError(f"objective is {text!r}, whose weights are all 0; give one of them a larger weight.")
    return np.array([weights.get(name, 0.0) for name in components])
