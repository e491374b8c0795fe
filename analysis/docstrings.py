"""What a dataclass's docstring says of its fields, for lists and help texts."""

from __future__ import annotations

import inspect
import re
from typing import Any


def meanings(described: type[Any]) -> dict[str, str]:
    """The Attributes section of a dataclass's docstring, by field."""
    text = inspect.getdoc(described) or ""
    found = re.findall(r"^ +(\w+): (.+(?:\n {6,}.+)*)", text.partition("Attributes:")[2], flags=re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}
