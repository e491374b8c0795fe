"""The state of an environment that somebody else wrote: a key that tells states apart, and a cheap copy.

Both walk the object graph from the environment and its wrappers through attributes, containers and arrays. Neither
runs the objects' own hooks for copying: some environments define hooks that build a new one from the constructor's
arguments, and so lose the state.

Not part of a state, and shared by copies: random generators and their seed, spaces, specifications, functions, classes,
loggers, drawing objects and toy-text's tables. An object whose contents Python cannot see (a simulator in C) is refused
by its path.
"""

from __future__ import annotations

import copy
import enum
import functools
import hashlib
import logging
import random
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from envs.errors import UserError

Env = gymnasium.Env[Any, Any]
Attributes = dict[tuple[int, str], int]
"""Integer attributes as (depth, name) -> value; depth 0 is the outermost wrapper."""

_ATOMS = frozenset({int, float, str, bytes, bool, complex, type(None)})
_MAPPINGS = frozenset({dict, OrderedDict, defaultdict, Counter})
_SETS = frozenset({set, frozenset})
_CONSTANTS = (enum.Enum, np.generic, np.dtype, range)
_CALLABLE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_NO_STATE = (
    np.random.Generator,
    np.random.RandomState,
    np.random.BitGenerator,
    random.Random,
    gymnasium.Space,
    EnvSpec,
    WrapperSpec,
    logging.Logger,
    types.ModuleType,
)
_DRAWING = frozenset({"pygame", "matplotlib", "tkinter", "PIL", "cv2", "pyglet"})
_TABLE_MODULES, _TABLE = "gymnasium.envs.toy_text.", "P"
"""Toy-text environments hold all transitions in a table that no step changes and that is long to read."""
_GENERATOR_ATTRIBUTES = frozenset({"_np_random", "_np_random_seed"})
_HEAP_TYPE = 1 << 9
"""Flag of classes made by a class statement, from CPython's object.h."""
_LONG = 128


def state_key(env: Env, *, ignored: Attributes | None = None) -> bytes:
    """A 16-byte digest of all that decides what the environment does next, given its actions.

    Equal states may get different keys (an attribute may record history). Different states get equal keys where they
    differ in nothing but what is no part of a state (see above), and else only if BLAKE2b collides.

    Args:
        env: The environment, wrapped or not.
        ignored: Attributes to leave out.

    Raises:
        UserError: Some part is opaque.
    """
    seen: dict[int, str] = {}
    parts = [
        f"{name}={_describe(value, seen, name)}"
        for depth, layer in enumerate(layers(env))
        for name, value in _state_attributes(layer)
        if not ignored or (depth, name) not in ignored
    ]
    return hashlib.blake2b(";".join(parts).encode(), digest_size=16).digest()


def value_key(value: Any) -> bytes:
    """A 16-byte digest of any value, such as an observation; UserError where some part is opaque."""
    return hashlib.blake2b(_describe(value, {}, "value").encode(), digest_size=16).digest()


def copy_env(env: Env) -> Env:
    """An environment in the same state; it shares no changeable part with the original but those named above.

    Raises:
        UserError: Some part is opaque.
    """
    copied: Env = _copy(env, {}, type(env).__name__)
    return copied


def layers(env: Env) -> list[Env]:
    """The environment and what it wraps, outermost first."""
    found = [env]
    while isinstance(found[-1], gymnasium.Wrapper):
        found.append(found[-1].env)
    return found


def integer_attributes(env: Env) -> Attributes:
    """All integer attributes of all layers."""
    return {
        (depth, name): value
        for depth, layer in enumerate(layers(env))
        for name, value in _state_attributes(layer)
        if type(value) is int
    }


def write_attributes(env: Env, attributes: Attributes) -> None:
    """Set the attributes to the given values."""
    chain = layers(env)
    for (depth, name), value in attributes.items():
        vars(chain[depth])[name] = value


def _state_attributes(layer: Env) -> Iterator[tuple[str, Any]]:
    """Attributes of one layer that may hold state: neither the wrapped layer nor the generator."""
    wrapper = isinstance(layer, gymnasium.Wrapper)
    for name, value in vars(layer).items():
        if name not in _GENERATOR_ATTRIBUTES and not (wrapper and name == "env") and not _is_table(layer, name):
            yield name, value


def _describe(value: Any, seen: dict[int, str], path: str) -> str:
    """Text that is equal for equal states; `seen` holds what was described already, and breaks cycles."""
    kind: Any = type(value)
    if kind in _ATOMS:
        return repr(value)
    known = seen.get(id(value))
    if known is not None:
        return known
    seen[id(value)] = f"<{len(seen)}>"
    text = _describe_new(value, seen, path)
    if len(text) > _LONG:
        text = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    seen[id(value)] = text
    return text


def _describe_new(value: Any, seen: dict[int, str], path: str) -> str:
    """Describe what is neither an atom nor seen; lists, tuples and short vectors of equal items are alike."""
    kind: Any = type(value)
    if kind is list or kind is deque or isinstance(value, tuple):
        return "(" + ",".join([_describe(item, seen, path) for item in value]) + ")"
    if kind in _MAPPINGS:
        items = [f"{_describe(k, seen, path)}:{_describe(v, seen, f'{path}[{k!r}]')}" for k, v in value.items()]
        return "{" + ",".join(sorted(items)) + "}"
    if kind in _SETS:
        return "{" + ",".join(sorted([_describe(item, seen, path) for item in value])) + "}"
    if kind is np.ndarray and not value.dtype.hasobject:
        short = value.ndim == 1 and value.size <= 8
        return "(" + ",".join(map(repr, value.tolist())) + ")" if short else f"{value.shape}{value.tobytes().hex()}"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, _CALLABLE):
        return str(value.__qualname__)
    if _is_shared(kind):
        return repr(value) if isinstance(value, _CONSTANTS) else str(kind.__name__)
    names = _field_names(value, path)
    return str(kind.__name__) + "".join([f" {name}={_describe(getattr(value, name), seen, path)}" for name in names])


def _copy(value: Any, memo: dict[int, Any], path: str) -> Any:
    """Copy one value; `memo` keeps what is one object in the original one object in the copy."""
    kind: Any = type(value)
    if kind in _ATOMS:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    result = memo[id(value)] = _copy_new(value, memo, path)
    return result


def _copy_new(value: Any, memo: dict[int, Any], path: str) -> Any:
    """Copy what is neither an atom nor copied already; containers enter the memo before their items, for cycles."""
    kind: Any = type(value)
    if kind is list or kind is deque:
        sequence = memo[id(value)] = kind() if kind is list else deque(maxlen=value.maxlen)
        sequence.extend([_copy(item, memo, path) for item in value])
        return sequence
    if kind in _MAPPINGS:
        mapping = memo[id(value)] = {} if kind is dict else copy.copy(value)
        for key, item in value.items():
            mapping[key] = _copy(item, memo, path)
        return mapping
    return _copy_leaf(value, memo, path)


def _copy_leaf(value: Any, memo: dict[int, Any], path: str) -> Any:
    """Copy what is neither an atom nor a list or mapping."""
    kind: Any = type(value)
    if isinstance(value, tuple):
        items = [_copy(item, memo, path) for item in value]
        return value if all(map(lambda a, b: a is b, items, value)) else tuple.__new__(kind, items)
    if kind in _SETS:
        return kind([_copy(item, memo, path) for item in value])
    if kind is np.ndarray and not value.dtype.hasobject:
        return value.copy()
    if isinstance(value, types.MethodType):
        return types.MethodType(value.__func__, _copy(value.__self__, memo, path))
    if _is_shared(kind):
        return value
    names = _field_names(value, path)
    result = memo[id(value)] = object.__new__(kind)
    for name in names:
        part = getattr(value, name)
        object.__setattr__(result, name, part if _is_table(value, name) else _copy(part, memo, path))
    return result


def _is_table(owner: Any, name: str) -> bool:
    return name == _TABLE and type(owner).__module__.startswith(_TABLE_MODULES)


@functools.cache
def _is_shared(kind: type) -> bool:
    """Tell whether objects of this class are constants, or hold no state of a world."""
    return issubclass(kind, _CONSTANTS + _CALLABLE + _NO_STATE) or kind.__module__.partition(".")[0] in _DRAWING


def _field_names(value: Any, path: str) -> list[str]:
    """Names of the attributes of an object of a plain Python class, slots first; anything else is refused."""
    kind: Any = type(value)
    slots = _slots(kind)
    if slots is None:
        raise UserError(
            f"Attribute {path!r} holds a {kind.__module__}.{kind.__qualname__}, whose state cannot be "
            "read from Python; record demonstrations of this environment with another tool and load them from a file."
        )
    return [name for name in slots if hasattr(value, name)] + list(getattr(value, "__dict__", ()))


@functools.cache
def _slots(kind: type) -> tuple[str, ...] | None:
    """Slots that a class and its bases declare; None where part of its objects' storage is not Python's."""
    classes = [base for base in kind.__mro__ if base.__flags__ & _HEAP_TYPE]
    declared = [vars(base)["__slots__"] for base in classes if "__slots__" in vars(base)]
    solid = next(base for base in kind.__mro__ if not base.__flags__ & _HEAP_TYPE)
    if solid is not object or (kind is not object and not declared and not kind.__dictoffset__):
        return None
    names = [name for slots in declared for name in ((slots,) if isinstance(slots, str) else slots)]
    return tuple(name for name in names if not name.startswith("__"))
