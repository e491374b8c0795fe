"""What a dataclass's docstring says of its fields, for lists and help texts."""

from __future__ import annotations

import inspect
import re
from typing import Any


def meanings(described: type[Any]) -> dict[str, str]:
    """The Attributes sections of the docstrings of a dataclass and of those that it inherits fields from, by field."""
    found: dict[str, str] = {}
    for one in reversed(described.__mro__):
        attributes = inspect.cleandoc(vars(one).get("__doc__") or "").partition("Attributes:")[2]
        lines = re.findall(r"^ +(\w+): (.+(?:\n {6,}.+)*)", attributes, flags=re.MULTILINE)
        found |= {name: " ".join(meaning.split()) for name, meaning in lines}
    return found
