"""Kinds of words that several commands of the command line take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from agents.search_config import SearchRules
from analysis.some_settings import some_of

Value = TypeVar("Value")
# What may be left out; its own help says what holds then.
Some = Annotated[Value | None, tyro.conf.arg(help_behavior_hint="")]
Device = Literal["auto", "cpu", "cuda"]
Preset = Literal["quick", "first", "standard", "full"]
Split = Literal["train", "test"]
Import = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="import", metavar="PACKAGE")]
Options = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="option", metavar="NAME=VALUE")]
EnvId = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV_ID")]
CaseOrId = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CASE_OR_ENV_ID")]
Run = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
Runs = Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN")]
SomeRules = Annotated[dict[str, Any], SearchRules, tyro.conf.arg(constructor=some_of(SearchRules))]
File = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
