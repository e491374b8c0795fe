"""Environments by the words of a user: packages to import, options, and an id that must exist."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from agents.environments import require_env, world_of
from envs.errors import UserError
from envs.registry import WORLDS, find_family, is_world_id

OBJECTIVE = "objective"
"""The option of worlds of people that says what is paid."""


def import_packages(packages: Sequence[str]) -> None:
    """Import what registers foreign environments; modules of the current folder are found too.

    Raises:
        UserError: a package is missing, or fails while it is imported.
    """
    if packages and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for package in packages:
        try:
            importlib.import_module(package)
        # A package that a user names may fail in any way while it is imported.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                f"Package {package!r} cannot be imported ({reason}); check the name given to --import, or install it."
            ) from error


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE words as options; a VALUE that is JSON or a number counts as that (5, .5, true, [1, 0]), else as text.

    Raises:
        UserError: a word without "=", or a name given twice.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UserError(f"--option is {word!r}; it must be NAME=VALUE, such as size=5.")
        if name in options:
            raise UserError(f"--option names {name!r} twice, with {options[name]!r} and {value!r}; give it once.")
        options[name] = _value(value)
    return options


def _value(text: str) -> Any:
    for read in (json.loads, _decimal):
        with contextlib.suppress(ValueError):
            return read(text)
    return text


def _decimal(text: str) -> float:
    """A number as people write it, which JSON has stricter rules for: .5, 5., +1; ValueError for other text."""
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text.strip()):
        raise ValueError
    return float(text)


def require_options(env_id: str, options: dict[str, Any]) -> None:
    """Refuse an unknown id, and unknown options or values of a world of ours."""
    require_env(env_id)
    world_of(env_id, options)


def worlds_of_people() -> list[str]:
    """Families whose reward is an objective of `envs.niceness`."""
    return [name for name, one in WORLDS.items() if OBJECTIVE in {field.name for field in fields(one.config)}]


def is_world_of_people(env_id: str) -> bool:
    """Whether an id is of one of them."""
    return is_world_id(env_id) and find_family(env_id)[0] in worlds_of_people()
