"""The actor that a command asks for: its name, and the settings of a search beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from agents.actors import searching
from envs.errors import UserError


def with_settings(name: str, settings: Mapping[str, Any]) -> str:
    """The actor's full name: search-16 with rule "puct" is "search-16,rule=puct".

    Raises:
        UserError: no such actor, or settings of a search for one that does not search.
    """
    if not settings:
        searching(name)
        return name
    option = f"--search.{next(iter(settings)).replace('_', '-')}"
    config = None if name == "both" else searching(name)
    if config is None:
        raise UserError(
            f"{option} is given, but actor {name!r} does not search; choose --actor search-16, or leave it out."
        )
    return dataclasses.replace(config, **settings).actor_name
