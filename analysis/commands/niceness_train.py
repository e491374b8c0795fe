"""`valuelab niceness train`: `valuelab train` in a world of people, paid by an objective."""

from __future__ import annotations

import dataclasses
from typing import Any

from analysis.cli import NicenessTrain, Train
from analysis.commands import train
from analysis.commands.environments import OBJECTIVE, is_world_of_people, parse_options, worlds_of_people
from analysis.commands.folders import case_words, folder_named
from envs.errors import UserError, nearest
from envs.niceness.case_registry import CASES, is_file
from envs.registry import world_id

DEFAULT = "RT"
"""What an agent is paid for where nothing is said."""


def run(command: NicenessTrain) -> int:
    """Train; the exit code is that of `valuelab train`."""
    return train.run(as_train(command))


def as_train(command: NicenessTrain) -> Train:
    """The same run as `valuelab train` has it, in a folder of its own for each case, objective and seed.

    Raises:
        UserError: an unknown case, or a world that is not about objectives.
    """
    env_id, named = world_named(command.env_id)
    if OBJECTIVE in parse_options(command.options):
        raise UserError("The objective is given by --option; give it by --objective, once.")
    # A run that goes on has its objective.
    asked = None if command.objective is None else command.objective.strip()
    paid = asked if asked is not None or command.resume else DEFAULT
    words = tuple(f"{name}={value}" for name, value in {**named, OBJECTIVE: paid}.items() if value is not None)
    values: dict[str, Any] = {field.name: getattr(command, field.name) for field in dataclasses.fields(Train)}
    out = command.out or folder_named(
        "niceness", case_words(command.env_id), asked or DEFAULT, f"seed{command.seed or 0}"
    )
    return Train(**{**values, "env_id": env_id, "options": (*words, *command.options), "out": out})


def world_named(name: str) -> tuple[str, dict[str, str]]:
    """The id and the options that a case's name, a case file, or a world's id stands for."""
    asking = {family.casefold(): family for family in worlds_of_people()}
    cases = {case.casefold(): case for case in CASES}
    if is_world_of_people(name):
        return name, {}
    if is_file(name):
        return world_id("Case"), {"case": name}
    if name.casefold() in asking:
        return world_id(asking[name.casefold()]), {}
    if name.casefold() in cases:
        return world_id("Case"), {"case": cases[name.casefold()]}
    known = sorted({*CASES, *asking.values()})
    raise UserError(
        f"There is no case or world of people {name!r}; there are {', '.join(known)}, and files that end in .toml."
        f"{nearest(name, known)}"
    )
