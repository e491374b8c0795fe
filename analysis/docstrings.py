"""What docstrings say of a dataclass's fields and of a function's arguments, for lists, pages and help texts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any


def meanings(described: type[Any]) -> dict[str, str]:
    """The Attributes sections of the docstrings of a dataclass and of those that it inherits fields from, by field."""
    found: dict[str, str] = {}
    for one in reversed(described.__mro__):
        found |= _section(vars(one).get("__doc__"), "Attributes:")
    return found


def meanings_of_arguments(described: Callable[..., Any]) -> dict[str, str]:
    """The Args section of a function's docstring, by argument."""
    return _section(described.__doc__, "Args:")


def _section(docstring: str | None, name: str) -> dict[str, str]:
    """Name -> meaning of the entries of a section."""
    entries = inspect.cleandoc(docstring or "").partition(name)[2].partition("\n\n")[0]
    lines = re.findall(r"^ +(\w+): (.+(?:\n {6,}.+)*)", entries, flags=re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in lines}
