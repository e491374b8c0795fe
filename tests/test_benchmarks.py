"""`make bench` runs every benchmark; each can be started, and runs through at a size that shows no speed."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = {
    "env_speed.py": (("--envs", "32", "--seconds", "0.01"), ("CrossedHistory", "two threads", "MiniGrid, one env")),
    "solver_speed.py": (("--size", "12", "--repeats", "1"), ("valuelab value_iteration", "quantecon value_iteration")),
    "niceness_speed.py": (
        ("--size=3", "--horizon=3", "--repeats=1", "--seconds=0.01"),
        ("two persons, NS", "every start", "all answers checked"),
    ),
    "search_speed.py": (("--seconds=0.01", "--batch=4", "--simulations=4"), ("gumbel network", "puct   table")),
    "erasure_speed.py": (("--rows", "2000", "--features", "8"), ("valuelab fit_leace", "concept-erasure")),
    "study_speed.py": (("--tiny", "--seeds=2"), ("two workers are", "equal rows")),
    "value_speed.py": (
        ("--updates=5", "--turns=1", "--world=DiamondGhost"), ("plain torch", "NEG-F", "gradients agree"),
    ),
    "learning_speed.py": (
        ("--envs=8", "--rollouts=1", "--turns=1", "--seeds=1", "--seconds=0.01", "--worlds=MultiNeed"),
        ("CPU seconds to 95%", "MultiNeed, 8 envs", "Stable-Baselines3, its separate networks"),
    ),
}

SHORT = "erasure_speed.py"
"""The only one that starts in a second; the others compile loops, ours and their peers'."""


def test_make_bench_runs_every_benchmark() -> None:
    command = ["make", "--dry-run", "--always-make", "bench"]
    planned = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for name in SMALL:
        assert f"python benchmarks/{name}\n" in planned
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    assert scripts == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_finds_all_that_it_imports_and_names_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "benchmarks" / name), run_name="__main__")
    assert not stop.value.code
    options = {word.partition("=")[0] for word in SMALL[name][0] if word.startswith("--")}
    text = capsys.readouterr().out
    assert options and all(f"{option} " in text for option in options)


@pytest.mark.parametrize(
    "name", [name if name == SHORT else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]
)
def test_a_benchmark_runs_through(name: str) -> None:
    options, expected = SMALL[name]
    command = [sys.executable, f"benchmarks/{name}", *options]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    for words in expected:
        assert words in run.stdout
