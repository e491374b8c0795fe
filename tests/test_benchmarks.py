"""`make bench` runs every benchmark, and each runs through at a size that shows no speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = {
    "env_speed.py": (("--envs", "32", "--seconds", "0.01"), ("CrossedHistory", "two threads", "MiniGrid, one env")),
    "solver_speed.py": (("--size", "12", "--repeats", "1"), ("valuelab value_iteration", "quantecon value_iteration")),
    "search_speed.py": (("--seconds=0.01", "--batch=4", "--simulations=4"), ("gumbel network", "puct   table")),
    "erasure_speed.py": (("--rows", "2000", "--features", "8"), ("valuelab fit_leace", "concept-erasure")),
    "learning_speed.py": (
        ("--envs=8", "--rollouts=1", "--turns=1", "--seeds=1", "--seconds=0.01", "--worlds=MultiNeed"),
        ("CPU seconds to 95%", "MultiNeed, 8 envs", "Stable-Baselines3, its separate networks"),
    ),
}

LONG = ("learning_speed.py", "search_speed.py")


def test_make_bench_runs_every_benchmark() -> None:
    command = ["make", "--dry-run", "--always-make", "bench"]
    planned = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for name in SMALL:
        assert f"python benchmarks/{name}\n" in planned
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    assert scripts == set(SMALL)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in SMALL]
)
def test_a_benchmark_runs_through(name: str) -> None:
    options, expected = SMALL[name]
    command = [sys.executable, f"benchmarks/{name}", *options]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    for words in expected:
        assert words in run.stdout
