"""Objectives that are sums of others, in words.

RT    IR    NS    PR-B    0.5*RT+0.5*IR    1/2 RT + 1/2 IR
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from envs.errors import UserError
from envs.niceness.drmdp import exact

_MINUS = re.compile(r"^\s*-|\s-|-\s|^(RT|FR|IR|NS|NS_lit)-")
_TERM = re.compile(r"\s*(?:(?P<weight>[\d./]{1,300})\s*\*?\s*)?(?P<name>[A-Za-z][^*]*?)\s*")


def is_mixture(text: str) -> bool:
    """Whether a text is meant as a sum, or a difference, rather than as a name."""
    return "+" in text or text[:1].isdigit() or bool(_MINUS.search(text))


def terms_of(text: str) -> tuple[tuple[Fraction | None, str], ...]:
    """The weight (None where none stands there) and the name of each term of a sum.

    Raises:
        UserError: A term that is neither a name nor a number >= 0 and a name; a name twice; all weights 0.
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
    for name, count in Counter(name for _, name in terms).items():
        if count > 1:
            raise UserError(f"objective is {text!r}, which names {name!r} more than once; give it one weight.")
    return tuple(terms)


def is_name(text: str) -> bool:
    """Whether a text is read as one name, and not as a sum or a difference."""
    try:
        return not is_mixture(text) and terms_of(text) == ((None, text),)
    except UserError:
        return False
