"""One text and one hash for equal content: canonical JSON and its SHA-256."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.errors import UserError


def canonical_json(value: object) -> str:
    """JSON text that is equal for equal values: sorted keys, no blanks, ASCII, finite numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(dict(content)).encode()).hexdigest()


def plain(value: object, place: str) -> Any:
    """Copy ``value`` into plain JSON types: numpy scalars become numbers, arrays and tuples lists.

    Args:
        value: None, bool, int, float, str, numpy scalar or array, list, tuple, or dict with string keys, nested.
        place: where the value stands, for the error.

    Raises:
        UserError: a number is NaN or infinite (use None for "undefined"), a key is no string, or another type.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UserError(f"{place} is {value}, but must be finite; write None for an undefined value.")
        return value
    if isinstance(value, list | tuple):
        return [plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_string_key(key, place): plain(item, f"{place}.{key}") for key, item in value.items()}
    raise UserError(f"{place} has type {type(value).__name__}, but must be a JSON value; convert it first.")


def _string_key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise UserError(f"{place} has the key {key!r}, but keys must be strings; write {str(key)!r}.")
    return key
