"""Words of a command line against what its commands take: one sentence about the first word that does not fit.

tyro parses what passes. Its own messages are boxes of several lines, so what people mistype is found here before.
A command is a dataclass; a field is an option of the same name, or a positional word where it is marked as one.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.cli_help import HELP

Commands = Mapping[str, type]


@dataclass(frozen=True)
class Option:
    """An option as it is typed.

    Attributes:
        flag: "--seed", or "RUN" for a positional word.
        kind: bool, int, float, str or a Literal, without Optional and tuple around it.
        many: Whether it takes all words up to the next option.
    """

    flag: str
    kind: Any
    many: bool = False


def problem_with(words: Sequence[str], commands: Commands) -> str | None:
    """One sentence about the first unknown command, unknown option or wrong value; None where there is none."""
    if not words:
        return f"no command was given; there are {', '.join(commands)} (see valuelab --help)."
    inside = {name.partition(" ")[2]: name for name in commands if name.startswith(f"{words[0]} ")}
    if words[0] not in commands and inside:
        asked = f"has no command {words[1]!r}; it has" if words[1:] else "needs a command:"
        hint = _nearest(" ".join(words[:2]), inside.values())
        return f"{words[0]} {asked} {', '.join(inside)} (see valuelab {words[0]} --help).{hint if words[1:] else ''}"
    if words[0] not in commands:
        return (
            f"unknown command {words[0]!r}; there are {', '.join(commands)} (see valuelab --help)."
            f"{_nearest(words[0], commands)}"
        )
    if any(word in HELP for word in words[1:]):
        return None
    options, positional = _options(commands[words[0]])
    given = list(_groups(words[1:], options))
    for flag, values in given:
        problem = _misfit(words[0], flag, values, options=options) if flag else None
        if problem:
            return problem
    problem = _miscount(words[0], [value for flag, values in given if not flag for value in values], positional)
    return problem and problem + _nearest(" ".join(words[:2]), inside.values())


def one_line(box: str) -> str:
    """The sentence inside the box that tyro prints, without its frame, its heading and its hint at --help."""
    lines = [re.sub(r"[│╭╮╰╯─]+", " ", line).strip() for line in box.splitlines()]
    text = " ".join(" ".join(line for line in lines if line).split())
    text = re.sub(r" (For full helptext, (see|run) .*|Argument helptext: .*)$", "", text)
    return re.sub(r"^\w+ (error|choice|options)\s+(Error parsing [\w.-]+: )?", "", text)


def _options(command: type) -> tuple[dict[str, Option], list[Option]]:
    """Options by flag, and positional words in their order."""
    found, positional = {}, []
    for option in _fields(command, "--"):
        if option.flag.startswith("--"):
            found[option.flag] = option
        else:
            positional.append(option)
    return found, positional


def _fields(command: type, prefix: str) -> Iterator[Option]:
    """What tyro makes of a dataclass's fields; those of one that a field holds, or is annotated with: --outer.inner."""
    for name, hint in typing.get_type_hints(command, include_extras=True).items():
        kind, marks = _unwrapped(hint)
        typed = next((mark.name for mark in marks if getattr(mark, "name", None)), name).replace("_", "-")
        if any("Positional" in repr(mark) for mark in marks):
            metavar = next((mark.metavar for mark in marks if getattr(mark, "metavar", None)), name.upper())
            many = typing.get_origin(kind) is tuple
            yield Option(metavar, typing.get_args(kind)[0] if many else kind, many=many)
        elif nested := next((part for part in (kind, *marks) if _is_settings(part)), None):
            yield from _fields(nested, f"{prefix}{typed}.")
        elif kind is bool:
            yield from (Option(f"{prefix}{no}{typed}", kind) for no in ("", "no-"))
        elif typing.get_origin(kind) is tuple:
            repeated = any("Append" in repr(mark) for mark in marks)
            yield Option(f"{prefix}{typed}", typing.get_args(kind)[0], many=not repeated)
        else:
            yield Option(f"{prefix}{typed}", kind)


def _is_settings(part: Any) -> bool:
    return isinstance(part, type) and dataclasses.is_dataclass(part)


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type inside Annotated and Optional, and the annotations."""
    marks: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *rest = typing.get_args(hint)
        marks = tuple(rest)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(item for item in typing.get_args(hint) if item is not types.NoneType)
    return hint, marks


def _groups(words: Sequence[str], options: Mapping[str, Option]) -> Iterator[tuple[str, list[str]]]:
    """Each option with its values; positional words under ""."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--"):
            yield "", [word]
            continue
        flag, equals, value = word.partition("=")
        flag = flag.replace("_", "-")
        option, values = options.get(flag), [value] if equals else []
        while option and waiting and not waiting[0].startswith("--") and option.kind is not bool:
            if values and not option.many:
                break
            values.append(waiting.pop(0))
        yield flag, values


def _misfit(command: str, flag: str, values: Sequence[str], *, options: Mapping[str, Option]) -> str | None:
    """A sentence about an unknown option, or about a value that it cannot take."""
    if flag not in options:
        return f"{command} has no option {flag!r}; {_listed(options)}.{_nearest(flag, options)}"
    option = options[flag]
    if not values and option.kind is not bool:
        return f"{flag} needs a value: {_allowed(option.kind)}."
    for value in values:
        if not _fits(value, option.kind):
            return f"{flag} is {value!r}; it must be {_allowed(option.kind)}.{_nearest(value, _choices(option.kind))}"
    return None


def _listed(options: Mapping[str, Option]) -> str:
    """The options of a command; those of settings as one entry for each stage."""
    names = [name.split(".")[0] + (".*" if "." in name else "") for name in options if not name.startswith("--no-")]
    return f"it has {', '.join(dict.fromkeys(names))}" if names else "it has none"


def _miscount(command: str, given: Sequence[str], positional: Sequence[Option]) -> str | None:
    """A sentence about positional words that are missing or too many."""
    if len(given) < len(positional):
        return f"{command} needs {positional[len(given)].flag}; see valuelab {command} --help."
    if len(given) > len(positional) and not any(option.many for option in positional):
        takes = " and ".join(option.flag for option in positional) or "no such word"
        return f"{command} cannot use {given[len(positional)]!r}: it takes {takes}; options start with --."
    return None


def _fits(value: str, kind: Any) -> bool:
    if _choices(kind):
        return value in _choices(kind)
    if kind not in (int, float) or value == "None":
        return True
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _choices(kind: Any) -> tuple[str, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _allowed(kind: Any) -> str:
    choices = _choices(kind)
    nouns = {int: "a whole number", float: "a number"}
    return f"one of {', '.join(choices)}" if choices else nouns.get(kind, "some text")


def _nearest(name: str, names: Iterable[str]) -> str:
    # `envs.errors.nearest` would do the same, but its package takes a second to import.
    match = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {match[0]!r}?" if match else ""
