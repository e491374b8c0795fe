"""What a second worker adds to a comparison: the same cells with one worker and with two, on fresh folders.

The ratio says something only where nothing else computes. Beside it stands the CPU time of all cells: where it grows
with two workers, they take memory bandwidth or clock from each other; where it does not, workers wait.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from machine import measure_machine

from analysis.studies.plan import SETUPS, ComparisonPlan, cells_of, make_plan
from analysis.study import digest, run_study
from envs.storage import read_json

BAR = 1.7
WORLD = "CrossedHistory"
TINY = dataclasses.replace(
    SETUPS[WORLD], num_demonstrations=50, imitation_updates=5, reinforce_steps=0, num_episodes=100, value_updates=20
)


class Timing(NamedTuple):
    """Seconds of one run, CPU seconds of its cells, and the hash of its rows."""

    seconds: float
    cpu_seconds: float
    digest: str


def timed(plan: ComparisonPlan, *, workers: int) -> Timing:
    """Run a plan in a folder of its own; starting the workers is part of the time."""
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name), time.perf_counter()
        run_study(cells_of(plan), folder, workers=workers)
        seconds = time.perf_counter() - start
        cpu_seconds = sum(read_json(path)["cpu_seconds"] for path in (folder / "manifest" / "cells").glob("*.json"))
        return Timing(seconds, cpu_seconds, digest(folder))


def main() -> None:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--tiny", action="store_true", help="cells so small that the ratio shows nothing")
    chosen = parser.parse_args()
    plan = make_plan(
        "standard", tests=("CrossedHistory",), worlds=(WORLD,), num_seeds=chosen.seeds,
        setups={WORLD: TINY} if chosen.tiny else None,
    )  # fmt: skip
    print(measure_machine(0.2))
    one, two = (timed(plan, workers=workers) for workers in (1, 2))
    for name, found in (("one worker", one), ("two workers", two)):
        print(f"{name}: {found.seconds:.1f} s, {found.cpu_seconds:.1f} CPU seconds in {len(cells_of(plan))} cells")
    ratio, growth = one.seconds / two.seconds, two.cpu_seconds / one.cpu_seconds
    print(f"two workers are {ratio:.2f} times as fast as one (bar {BAR}); CPU time x {growth:.2f}")
    if one.digest != two.digest:
        raise SystemExit("the rows of one worker and of two differ")
    print("equal rows")


if __name__ == "__main__":
    main()
