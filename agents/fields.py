"""Checking and (de)serialising frozen dataclasses of settings: wrong types, ranges and names are refused in one line.

Nothing here imports torch or numba; the error class is imported where it is raised, for the same reason.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

Settings = TypeVar("Settings")
Bounds = Mapping[str, tuple[float, float]]


def check_fields(settings: Any, bounds: Bounds) -> None:
    """Refuse any field of a dataclass whose value has another type than its annotation, or lies out of bounds.

    Args:
        settings: a dataclass instance whose annotations are bool, int, float, str, Literal, tuples of these, nested
            dataclasses, or one of these ``| None``.
        bounds: inclusive (low, high) by field name; for a tuple they hold for each element.

    Raises:
        UserError: names the class, the field, the value seen and what is allowed.
    """
    for name, hint in typing.get_type_hints(type(settings)).items():
        _check_value(_Field(settings, name, bounds.get(name)), getattr(settings, name), hint)


def refuse(settings: Any, name: str, *, allowed: str, hint: str = "") -> NoReturn:
    """Raise UserError: which field of which settings, the value seen, what is allowed, and a hint (" Did you ...?")."""
    from envs.errors import UserError

    raise UserError(f"{type(settings).__name__}.{name} is {getattr(settings, name)!r}; it must be {allowed}.{hint}")


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return a dataclass as JSON-ready dicts and lists."""
    return {field.name: _plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)}


def settings_from_dict(cls: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Build settings from ``settings_to_dict``'s output; fields left out take their defaults.

    Raises:
        UserError: an unknown field (with the nearest name), a wrong type or range.
    """
    from envs.errors import UserError, nearest

    hints = typing.get_type_hints(cls)
    if not isinstance(values, Mapping):
        raise UserError(f"{cls.__name__} is made from a mapping of fields, not from {values!r}.")
    for name in values:
        if name not in hints:
            allowed = f"allowed: {', '.join(hints)}"
            raise UserError(f"{cls.__name__} has no field {name!r}; {allowed}.{nearest(str(name), hints)}")
    return cls(**{name: _restore(hints[name], value) for name, value in values.items()})


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, the names of each level joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flat_settings(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _plain(value: Any) -> Any:
    """Turn tuples into lists and nested settings into dicts."""
    if dataclasses.is_dataclass(value):
        return settings_to_dict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _restore(hint: Any, value: Any) -> Any:
    """Turn JSON's lists into tuples and its dicts into nested settings."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return settings_from_dict(hint, value)
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class _Field:
    """The field under check: whose, its name, its bounds."""

    settings: Any
    name: str
    bounds: tuple[float, float] | None


def _check_value(field: _Field, value: Any, hint: Any) -> None:
    """Check one value against one annotation; tuples element by element."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is not None:
            _check_value(field, value, next(a for a in arguments if a is not types.NoneType))
    elif origin is tuple:
        if not isinstance(value, tuple):
            refuse(field.settings, field.name, allowed="a tuple")
        for item in value:
            _check_value(field, item, arguments[0])
    elif origin is typing.Literal:
        if value not in arguments:
            _refuse_choice(field, value, arguments)
    else:
        _check_scalar(field, value, hint)


def _refuse_choice(field: _Field, value: Any, choices: tuple[str, ...]) -> NoReturn:
    """Refuse a value that is none of the choices, and name the nearest."""
    from envs.errors import nearest

    listed = ", ".join(repr(choice) for choice in choices)
    refuse(field.settings, field.name, allowed=f"one of {listed}", hint=nearest(str(value), choices))


def _check_scalar(field: _Field, value: Any, hint: Any) -> None:
    """Check a bool, int, float, str or nested dataclass and its bounds."""
    accepted = (int, float) if hint is float else (hint,)
    has_type = isinstance(value, accepted) and isinstance(value, bool) == (hint is bool)
    bounds = field.bounds
    if not has_type or (bounds is not None and not (math.isfinite(value) and bounds[0] <= value <= bounds[1])):
        nouns = {bool: "True or False", int: "a whole number", float: "a number", str: "a string"}
        noun = nouns.get(hint, hint.__name__)
        allowed = f"{noun} from {bounds[0]:g} to {bounds[1]:g}" if bounds else noun
        refuse(field.settings, field.name, allowed=allowed)
