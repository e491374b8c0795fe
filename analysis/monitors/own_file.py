"""A monitor that somebody wrote: a file that defines `score(subject)`, run on subjects, its errors in one line.

It runs as a script does, with the modules beside it at hand. The folder it works in, where modules are looked for, and
torch's default type and device, threads and use of gradients are set back whenever it returns. It is code like any
other and can do what code can: run files that you trust.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import numbers
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from analysis.monitors.behaviour import TRAITS
from analysis.monitors.by_value import Scores
from analysis.monitors.subject import Subject
from envs.errors import UserError, nearest


def read_monitor(path: Path) -> Callable[[Subject], Scores]:
    """The file's `score`, with what it returns checked.

    Raises:
        UserError: No such file, an error while it runs (with its line), or no function `score` in it. The function
            that is returned raises it for errors and wrong results of `score`.
    """
    if not path.is_file():
        raise UserError(f"There is no file '{path}'; give a Python file that defines score(subject).")
    spec = importlib.util.spec_from_file_location(f"monitor of a user: {path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"'{path}' is no Python file; give one named *.py that defines score(subject).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Where dataclasses look for what their annotations name.
    _guarded(path, spec.loader.exec_module, module)
    score = getattr(module, "score", None)
    if score is not None and not callable(score):
        raise UserError(f"'{path}' defines score as {score!r:.40}, which is no function; write def score(subject).")
    if score is None:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise UserError(f"'{path}' defines no function score(subject); write one.{nearest('score', names)}")
    return lambda subject: checked(_guarded(path, score, subject), where=_defined(path, score))


def _defined(path: Path, score: Callable[..., Any]) -> str:
    """The file, with the line where `score` begins if it is a function of it."""
    code = getattr(inspect.unwrap(score), "__code__", None)
    if code is None or Path(code.co_filename).resolve() != path.resolve():
        return str(path)
    return f"{path}:{code.co_firstlineno}"


def checked(found: Any, *, where: str) -> Scores:
    """Scores by trait; one number counts for both."""
    if _is_number(found):
        found = dict.fromkeys(TRAITS, found)
    if not isinstance(found, Mapping) or not found or set(found) - set(TRAITS):
        raise UserError(
            f"{where}: score returned {found!r:.80}, allowed is a number, or a dict with numbers for "
            f"{' and '.join(map(repr, TRAITS))} or one of them."
        )
    for trait, score in found.items():
        if not _is_number(score) or not _is_finite(score):
            raise UserError(f"{where}: score returned {score!r:.40} for {trait!r}, allowed is a finite number.")
    return {trait: float(score) for trait, score in found.items()}


def _is_number(found: Any) -> bool:
    """True and False are answers rather than scores, so that they are none."""
    return isinstance(found, numbers.Real) and not isinstance(found, bool)


def _is_finite(found: Any) -> bool:
    try:
        return math.isfinite(found)
    except OverflowError:  # A whole number beyond all floats.
        return False


def _guarded(path: Path, function: Callable[[Any], Any], argument: Any) -> Any:
    """Call what the user wrote; its errors become one line with file and line number."""
    try:
        with _as_a_script(path):
            return function(argument)
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise UserError(f"{_place(path, error)}: it exits, which would end the audit; return a score.") from error
    except BaseException as error:  # Whatever somebody's file may raise.
        said = error.msg if isinstance(error, SyntaxError) else error
        raise UserError(f"{_place(path, error)}: {type(error).__name__}: {said}") from error


@contextmanager
def _as_a_script(path: Path) -> Iterator[None]:
    """Find the modules beside the file, and set back what it sets for everybody."""
    places, folder, threads = list(sys.path), os.getcwd(), torch.get_num_threads()
    dtype, device, grad = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.path[:] = places
        os.chdir(folder)
        torch.set_default_dtype(dtype)
        torch.set_default_device(None if device.type == "cpu" else device)
        torch.set_grad_enabled(grad)
        torch.set_num_threads(threads)


def _place(path: Path, error: BaseException) -> str:
    """The last line that an error passed in the file, as the user named it, or in a module beside it, if any."""
    passed = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        passed.append((error.filename or "", error.lineno))
    # Python names a file by its absolute path, whatever the user typed.
    own = [(Path(name), line) for name, line in passed if Path(name).resolve().parent == path.resolve().parent]
    if not own:
        return str(path)
    name, line = own[-1]
    return f"{path.with_name(name.name)}:{line}"
