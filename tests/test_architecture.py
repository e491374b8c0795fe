"""The house keeps its shape: imports point down, names and sizes hold, loading never runs code."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOORS = {"envs": 1, "shards": 2, "agents": 3, "analysis": 4}
MAY_IMPORT = {"envs": set(), "shards": set(), "agents": {"envs", "shards"}, "analysis": {"envs", "shards", "agents"}}
THIRD_PARTY = {
    "envs": {"numpy", "numba", "scipy", "gymnasium"},
    "shards": {"torch"},
}
SOURCES = sorted(path for package in FLOORS for path in (ROOT / package).rglob("*.py"))
UNSAFE = re.compile(
    r"\b(pickle|cloudpickle|dill|shelve)\b|torch\.load\(|joblib\.load\(|allow_pickle=True|yaml\.load\(|"
    r"(?<!\.)\beval\(|\bexec\("
)


def imported_names(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield ".".join(package[: len(package) - node.level + 1])
            else:
                yield node.module or ""


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def body_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_imports_point_down() -> None:
    for path in SOURCES:
        package = path.relative_to(ROOT).parts[0]
        roots = {name.split(".")[0] for name in imported_names(path)}
        upward = (roots & FLOORS.keys()) - MAY_IMPORT[package] - {package}
        assert not upward, f"{path} imports {upward}: only {MAY_IMPORT[package]} lie below {package}"
        if package in THIRD_PARTY:
            known = {"numpy", "numba", "scipy", "gymnasium", "torch", "sklearn", "matplotlib", "polars", "rich", "tyro",
                     "joblib", "safetensors", "stable_baselines3", "minigrid", "PIL"}
            foreign = (roots & known) - THIRD_PARTY[package]
            assert not foreign, f"{path} imports {foreign}: {package} may use {THIRD_PARTY[package]}"


def test_what_studies_are_made_of_imports_no_study() -> None:
    """Nor a command: `analysis.studies` and `analysis.commands` lie above, and the other way round is a cycle."""
    for package in ("instruments", "monitors", "niceness", "plots", "predictions"):
        for path in (ROOT / "analysis" / package).rglob("*.py"):
            names = imported_names(path)
            above = [name for name in names if name.startswith(("analysis.studies", "analysis.commands"))]
            assert not above, f"{path} imports {above}"


def test_a_file_is_small_and_safe() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert text.count("\n") <= 250, f"{path} has {text.count(chr(10))} lines: one concept a file, at most 250"
        unsafe = [line for line in text.splitlines() if UNSAFE.search(line)]
        assert not unsafe, f"{path}: loading must never run code: {unsafe}"
        for function in functions(path):
            assert body_lines(function) <= 60, f"{path}:{function.lineno} {function.name} is longer than 60 lines"
            positional = [a.arg for a in function.args.posonlyargs + function.args.args if a.arg not in ("self", "cls")]
            jitted = any("njit" in ast.unparse(decorator) for decorator in function.decorator_list)
            templated = "\nLOOPS = (" in text or path.parent.name == "worlds"
            assert len(positional) <= 3 or jitted or templated, f"{path}:{function.lineno} {positional}"


def test_functions_are_short_in_the_median() -> None:
    lengths = [body_lines(function) for path in SOURCES for function in functions(path)]
    assert statistics.median(lengths) <= 10


def test_no_drawer_for_odds_and_ends() -> None:
    assert not [path for path in SOURCES if path.stem in {"utils", "common", "helpers", "misc"}]


def test_the_scanner_sees_a_planted_fault(tmp_path: Path) -> None:
    assert UNSAFE.search("torch.load(path)")
    assert UNSAFE.search("x = eval(text)")
    assert not UNSAFE.search("model.eval()")
