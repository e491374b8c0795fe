"""Objectives that are sums of others, in words, and as weights of a world's named reward components.

    RT    IR    NS    PR-B    Myopic    0.5*RT+0.5*IR    1/2 RT + 1/2 IR

`Myopic` is RT at discount 0, which the world takes care of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from envs.errors import UserError, nearest
from envs.niceness.drmdp import exact

MYOPIC = "Myopic"
UNSEEN = "welfare"
"""The component that no objective may count."""
UNPAID: Mapping[str, str] = MappingProxyType(
    {
        "FR": "judges every step by what is wanted in the end",
        "NS_lit": "weighs tastes by their law from one start",
        "CRT": "compares laws of whole trajectories",
        "CRT_without_last": "compares laws of whole trajectories",
        "CRT_mask": "is RT with actions forbidden",
        "ParetoUD": "is a set of policies",
        "PSO": "plans in a model that it knows to be wrong",
    }
)
"""Objectives by which no world pays its steps, and why."""
_MINUS = re.compile(r"^\s*-|\s-|-\s|^(RT|FR|IR|NS|NS_lit)-")
_TERM = re.compile(r"\s*(?:(?P<weight>[\d./]{1,300})\s*\*?\s*)?(?P<name>[A-Za-z][^*]*?)\s*")


def is_mixture(text: str) -> bool:
    """Whether a text is meant as a sum, or a difference, rather than as a name."""
    return "+" in text or text[:1].isdigit() or bool(_MINUS.search(text))


def terms_of(text: str) -> tuple[tuple[Fraction | None, str], ...]:
    """The weight (None where none stands there) and the name of each term of a sum.

    Raises:
        UserError: A term that is neither a name nor a number >= 0 and a name; all weights 0.
    """
    if _MINUS.search(str(text)):
        raise UserError(f"objective is {text!r}, but weights may not be negative; write a sum such as 0.5*RT+0.5*IR.")
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
    if all(weight == 0 for weight, _ in terms):
        raise UserError(f"objective is {text!r}, whose weights are all 0; give one of them a larger weight.")
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
        UserError: As `terms_of`; a component that is unknown, hidden or named twice; one that the world lacks.
    """
    weights: dict[str, float] = {}
    for weight, name in terms_of("RT" if text == MYOPIC else text):
        if name in (refused or {}):
            raise UserError(f"objective is {text!r}, but {(refused or {})[name]}")
        known = [one for one in components if one not in (UNSEEN, *weights)]
        if name not in known:
            allowed = f"allowed are {', '.join(known)}, sums in which each stands once, and {MYOPIC}"
            if name in UNPAID:
                readings = ", as are CRT_without_last and CRT_mask, other readings of it" if name == "CRT" else ""
                where = "in cases, and in the village by itself" if name == "NS_lit" else "in cases alone"
                raise UserError(
                    f"objective is {text!r}, but no world pays its steps by {name}, which {UNPAID[name]}, so that it "
                    f"is solved (valuelab niceness solve) {where}, and not trained{readings}; {allowed}."
                )
            raise UserError(
                f"objective is {text!r}, which names {name!r}; {allowed}.{nearest(name, [*known, MYOPIC])}"
            )
        weights[name] = 1.0 if weight is None else float(weight)
    return np.array([weights.get(name, 0.0) for name in components])
