"""Values that an env returns: as text by path, so that they can be kept, compared and named; and against a space."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.checks.rules import NOT_FINITE, OBSERVATION_RANGE, OBSERVATION_TYPE, Rule

Facts = dict[str, str]
"""Path -> text of each leaf of a value; two values are equal exactly if their facts are."""
_SHOWN = 8
_DEEPEST = 8
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_Fault = tuple[Rule, str, object]


def facts_of(value: Any, path: str) -> Facts:
    """The leaves of nested dicts, lists and tuples; NaN equals NaN, and 1 differs from 1.0.

    Args:
        value: Anything.
        path: What the value is called, for instance "observation".

    Returns:
        Text by path. Large arrays are given by a digest. Of objects whose content is unknown only the class is told.
    """
    if isinstance(value, Mapping) and value and path.count("[") < _DEEPEST:
        items = [(f"{path}[{key!r}]", item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and value and path.count("[") < _DEEPEST:
        items = [(f"{path}[{n}]", item) for n, item in enumerate(value)]
    else:
        return {path: _described(value)}
    found: Facts = {}
    for name, item in items:
        found |= facts_of(item, name)
    return found


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        kind = _array_kind(value)
        if value.size <= _SHOWN:
            return f"{kind} {value.tolist()}"
        return f"{kind} with digest {hashlib.blake2b(value.tobytes(), digest_size=8).hexdigest()}"
    if isinstance(value, _PLAIN) or (isinstance(value, Mapping | list | tuple) and not value):
        return repr(value)
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


@functools.cache
def _name(dtype: np.dtype[Any]) -> str:
    # NumPy works the name out anew at each call, which costs more than all the rest.
    return str(dtype)


def key_of(facts: Facts) -> str:
    """One short text for all facts."""
    return hashlib.blake2b(repr(sorted(facts.items())).encode(), digest_size=16).hexdigest()


def difference(first: Facts, second: Facts) -> str | None:
    """The first leaf that differs, with both texts; None where facts are equal."""
    for path in first | second:
        if first.get(path) != second.get(path):
            return f"{path} is {first.get(path, 'missing')} and {second.get(path, 'missing')}"
    return None


def fault_in(value: Any, space: spaces.Space[Any], path: str) -> _Fault | None:
    """What an observation breaks of its space.

    Args:
        value: The observation, or a part of it.
        space: The space, or the part's.
        path: What the part is called.

    Returns:
        The rule, what is wrong, and the value seen; None where nothing is wrong.
    """
    match space:
        case spaces.Dict():
            return _fault_in_dict(value, space, path)
        case spaces.Tuple():
            return _fault_in_tuple(value, space, path)
        case spaces.Box():
            return _fault_in_box(value, space, path)
        case spaces.Discrete():
            if not isinstance(value, int | np.integer):
                return OBSERVATION_TYPE, f"{path} is a {_kind(value)}, and the space is {space}", value
        case _:
            pass
    if not _contains(space, value):
        return OBSERVATION_RANGE, f"{path} is not in {space}", value
    return None


def _fault_in_dict(value: Any, space: spaces.Dict, path: str) -> _Fault | None:
    if not isinstance(value, Mapping):
        return OBSERVATION_TYPE, f"{path} is a {_kind(value)}, and the space is a Dict", value
    if value.keys() != space.spaces.keys():
        return OBSERVATION_TYPE, f"{path} has keys {sorted(map(str, value))}, declared are {sorted(space.spaces)}", ""
    faults = (fault_in(value[key], part, f"{path}[{key!r}]") for key, part in space.spaces.items())
    return next((fault for fault in faults if fault), None)


def _fault_in_tuple(value: Any, space: spaces.Tuple[Any], path: str) -> _Fault | None:
    if not isinstance(value, tuple) or len(value) != len(space.spaces):
        return OBSERVATION_TYPE, f"{path} is not a tuple of {len(space.spaces)} parts", _kind(value)
    faults = (fault_in(item, part, f"{path}[{n}]") for n, (item, part) in enumerate(zip(value, space, strict=True)))
    return next((fault for fault in faults if fault), None)


def _fault_in_box(value: Any, space: spaces.Box, path: str) -> _Fault | None:
    if not isinstance(value, np.ndarray | np.generic):
        return OBSERVATION_TYPE, f"{path} is a {_kind(value)}, declared is {_array_kind(space)}", value
    if value.dtype != space.dtype or value.shape != space.shape:
        return OBSERVATION_TYPE, f"{path} is {_array_kind(value)}, declared is {_array_kind(space)}", ""
    if value.dtype.kind in "fc" and not np.isfinite(value).all():
        return NOT_FINITE, f"{path} is not finite", np.asarray(value)[~np.isfinite(value)][0]
    outside = np.less(value, space.low) | np.greater(value, space.high)
    if outside.any():
        first = tuple(int(n) for n in np.argwhere(outside)[0]) if space.shape else ()
        low, high = np.asarray(space.low)[first], np.asarray(space.high)[first]
        place = f"{path}{list(first)}" if first else path
        return OBSERVATION_RANGE, f"{place} is outside [{low}, {high}]", np.asarray(value)[first]
    return None


def _contains(space: spaces.Space[Any], value: Any) -> bool:
    try:
        return bool(space.contains(value))
    # Spaces of other authors may fail in any way on values that they do not expect.
    except Exception:
        return False


def _array_kind(value: Any) -> str:
    return f"{_name(value.dtype)}{list(value.shape)}"


def _kind(value: Any) -> str:
    return type(value).__name__
