"""Settings of which a user gives some: what was not typed is absent, rather than equal to a default."""

from __future__ import annotations

import typing
from typing import Annotated, Any, TypedDict

import tyro

from analysis.docstrings import meanings


def some_of(settings: type[Any]) -> Any:
    """The TypedDict that tyro parses for a dataclass of settings: the same options, each of which may be left out."""
    helps = meanings(settings)
    fields = {
        name: Annotated[hint, tyro.conf.arg(help=helps.get(name, ""), help_behavior_hint="")]
        for name, hint in typing.get_type_hints(settings).items()
    }
    return TypedDict(settings.__name__, fields, total=False)  # type: ignore[operator]
