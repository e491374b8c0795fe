"""From template loops to one world's compiled kernels, cached on disk and recompiled when a source they reach changes.

A loop at module level that calls a world's functions as globals is cached by numba and runs at full speed; functions
passed as arguments are recompiled in every process and closures are slow as well. So each template of `envs.kernels` is
re-homed: a new function object from the template's code, with the world's functions among its globals and the world's
file as its file. Numba's cache is keyed by file, name and signature, and sees changes of that one file only; the name
therefore carries a hash of the sources of every function that the loop can reach.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CellType, CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np
from numba import njit, typeof
from numba.core.registry import CPUDispatcher

from envs import kernels, noise, row_kernels
from envs.worlds.absent import any_row

WORLD_FUNCTIONS = ("begin", "transition", "observe", "breakpoints", "context")
_OPTIONAL = {"possible": any_row}
# Without numba's runtime (NRT) no counts of references stand in a loop, where arrays that are taken out of a tuple one
# by one make it 15 times as slow; and a function that allocates an array, or returns a part of one, does not compile.
INLINED: dict[str, Any] = {"forceinline": True, "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
COMPILED: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False, "no_cfunc_wrapper": True}
_VERSIONED_ELSEWHERE = frozenset({"numpy", "numba"}) | sys.stdlib_module_names


class Kernels(NamedTuple):
    """The compiled loops of one world, the engine's before those over rows."""

    reset_envs: Callable[..., None]
    step_envs: Callable[..., int]
    begin_rows: Callable[..., None]
    observe_rows: Callable[..., None]
    context_rows: Callable[..., None]
    expand_rows: Callable[..., int]


@functools.cache
def compile_kernels(module_name: str) -> Kernels:
    """The loops of one world.

    Args:
        module_name: Name of a module with the five numba functions of a world.

    Raises:
        TypeError: If the module lacks one of the five functions.
    """
    loops = compile_templates(module_name, (row_kernels, kernels), functions=WORLD_FUNCTIONS)
    return Kernels(**{name: loops[name] for name in Kernels._fields})


@functools.cache
def compile_careful(module_name: str) -> Mapping[str, Callable[..., Any]]:
    """A world's loops over rows of unknown origin, by name: an index outside of its array raises IndexError.

    The other loops check no index: what they read comes from `begin` and `transition`.
    """
    return compile_templates(module_name, (row_kernels,), functions=(*WORLD_FUNCTIONS, *_OPTIONAL), careful=True)


def compile_templates(
    home: str, templates: tuple[ModuleType, ...], *, functions: tuple[str, ...] = (), careful: bool = False
) -> Mapping[str, Callable[..., Any]]:
    """The loops of template modules in the home of the functions that they call.

    Each is read from the cache, or compiled, when it is first called; whoever calls this keeps what it returns.

    Args:
        home: Name of a module, beside whose file the loops are cached.
        templates: Modules of plain Python functions, of which `PARTS` are inlined into `LOOPS`; names of one module may
            be used in the others.
        functions: Numba functions of the home that the templates call as globals; none for loops that no world's
            functions take part in.
        careful: Whether every index is checked.

    Returns:
        Numba functions by the names of the loops. They release the interpreter's lock.

    Raises:
        TypeError: If the home lacks one of the functions.
    """
    module = importlib.import_module(home)
    found: dict[str, Any] = {name: getattr(module, name, _OPTIONAL.get(name)) for name in functions}
    missing = [name for name, function in found.items() if not isinstance(function, CPUDispatcher)]
    if missing:
        raise TypeError(
            f"World module {home!r} has no numba function {missing[0]!r}; define all of "
            f"{', '.join(functions)} at its top level with @njit."
        )
    parts = [part for template in templates for part in template.PARTS]
    loops = [loop for template in templates for loop in template.LOOPS]
    digest = source_digest([*found.values(), *parts, *loops, compile_templates]) + ("_careful" if careful else "")
    # Only expansion calls `breakpoints`, so that checks of its indices cost a step nothing.
    checked = found.keys() if careful else {"breakpoints"}
    inlined = {name: _inlined(found[name], boundscheck=name in checked) for name in found if name != "begin"}
    namespace = {name: value for template in templates for name, value in vars(template).items()}
    namespace |= {**found, **inlined, "__name__": home}
    for part in parts:
        homed_part = _rehome(part, namespace, module=module, digest=digest)
        namespace[part.__name__] = njit(**INLINED, boundscheck=careful)(homed_part)
    homed = {loop.__name__: _rehome(loop, namespace, module=module, digest=digest) for loop in loops}
    return MappingProxyType({name: njit(**COMPILED, boundscheck=careful)(loop) for name, loop in homed.items()})


def machine_code(loop: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """The compiled code of a loop for arguments of these types.

    Called through it, a loop does not look at the types of its some thirty arrays again, which takes ten times as long
    as a step of one env. Whoever calls it answers for the types, and for arrays being C-ordered.
    """
    code: Callable[..., Any] = loop.compile(tuple(typeof(argument) for argument in arguments))  # type: ignore[no-untyped-call]
    return code


@functools.cache
def _inlined(function: Any, *, boundscheck: bool = False) -> Any:
    """The function, and all that it calls, compiled into its caller; with `boundscheck` a wrong index is IndexError.

    One copy serves all callers, as worlds share helpers and each copy is compiled anew.
    """
    namespace = dict(function.py_func.__globals__)
    for name in _names(function.py_func.__code__):
        called = namespace.get(name)
        if isinstance(called, CPUDispatcher) and called.py_func.__module__ != noise.__name__ and called is not function:
            namespace[name] = _inlined(called, boundscheck=boundscheck)
    python = function.py_func
    closure = tuple(_inlined_cell(cell, boundscheck=boundscheck) for cell in python.__closure__ or ())
    copy = FunctionType(python.__code__, namespace, python.__name__, python.__defaults__, closure or None)
    return njit(**INLINED, boundscheck=boundscheck)(copy)


def _inlined_cell(cell: CellType, *, boundscheck: bool) -> CellType:
    """A closure's constant as it is, a function of its closure inlined."""
    value = cell.cell_contents
    return CellType(_inlined(value, boundscheck=boundscheck)) if isinstance(value, CPUDispatcher) else cell


def _rehome(
    template: Callable[..., Any], namespace: dict[str, Any], *, module: ModuleType, digest: str
) -> FunctionType:
    name = f"{template.__name__}_{digest}"
    code = template.__code__.replace(co_filename=str(module.__file__), co_name=name, co_qualname=name)
    function = FunctionType(code, namespace, name)
    function.__module__ = module.__name__
    return function


def source_digest(roots: list[Any]) -> str:
    """Hash of everything of ours that compiled loops depend on.

    Args:
        roots: The loops, and the functions that they call.

    Returns:
        Sixteen hexadecimal digits of SHA-256 over the files of all reachable functions and the values of all constants
        that they take from their globals or closures. What numba and numpy contribute is left to numba's own versioned
        cache.
    """
    files: set[str] = set()
    constants: set[str] = set()
    _walk(roots, files=files, constants=constants)
    digest = hashlib.sha256()
    for content in sorted(hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files):
        digest.update(content.encode())
    digest.update("\n".join(sorted(constants)).encode())
    return digest.hexdigest()[:16]


def _walk(roots: list[Any], *, files: set[str], constants: set[str]) -> None:
    """Collect files of functions and values of constants, following what functions take from globals and closures."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        function = getattr(value, "py_func", getattr(value, "__wrapped__", value))
        if id(function) in seen:
            continue
        seen.add(id(function))
        if isinstance(function, FunctionType) and not _is_foreign(function.__module__):
            files.add(function.__code__.co_filename)
            for name, taken in _named_values(function):
                if isinstance(taken, (int, float, str, tuple, np.generic, np.ndarray)):
                    constants.add(f"{function.__qualname__}.{name}={_constant(taken)}")
                else:
                    waiting.append(taken)
        elif isinstance(function, ModuleType) and not _is_foreign(function.__name__) and function.__file__:
            files.add(str(function.__file__))
            waiting.extend(item for item in vars(function).values() if isinstance(item, CPUDispatcher))


def _constant(value: Any) -> str:
    """A constant in words; of an array its type, shape and a hash of its bytes."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    return repr(value)


def _is_foreign(module_name: str | None) -> bool:
    return (module_name or "builtins").split(".")[0] in _VERSIONED_ELSEWHERE


def _named_values(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents


def _names(code: CodeType) -> set[str]:
    nested = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*nested)
