"""Exact solutions of the village: seconds of CPU time beside the bars of the project.

Run: python benchmarks/niceness_speed.py [--repeats 3] [--size 5] [--horizon 20]

Times are CPU seconds on one core, the best of some repetitions, and hold enumeration and solution together, without
numba's compilation. Answers are checked in the same run: a policy that takes any optimal action alike earns, by a
passage forwards, what the passage backwards says; MI_c of the inert policy is 0; and the values of the default village
are those of its page. It fails where a bar is missed (scaled down on a machine below the reference) or a check fails.

Three kinds of row: one person and two persons from the start of the default layout, and, as a stress, one person from
every start there could be: agent and person in any cells, wanting anything.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from machine import Machine, measure_machine

from envs.coupling import real_half, twin_half
from envs.layers import Layers, back_up, list_layers
from envs.niceness.village import objective_weights
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_influence import evaluate_village
from envs.niceness.village_layers import list_village
from envs.niceness.village_row import CELL, PEOPLE, THETA, THETA_0, WAIT
from envs.niceness.village_solution import VillageSolution, solve_village
from envs.worlds.cells import cell_of_rank

KNOWN = {"RT": 52.0, "IR": 37.0, "NS": 26.0, "NS_lit": 26.0}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: what is solved, and the bar in seconds, None for a line that has none."""

    words: str
    config: VillageConfig
    objectives: tuple[str, ...]
    bar: float | None
    every_start: bool = False


def table_of(size: int, horizon: int) -> list[Row]:
    """What is timed; chance everywhere (κ = ½), which has more outcomes than κ = 0 or 1."""
    one = VillageConfig(size=size, horizon=horizon, kappa_p=0.5, kappa_g=0.5)
    two = dataclasses.replace(one, num_persons=2)
    several = ("RT", "IR", "NS_lit")
    return [
        Row("one person, RT IR NS_lit", one, several, 5.0),
        Row("one person, NS", one, ("NS",), 60.0),
        Row("two persons, RT IR NS_lit", two, several, 180.0),
        Row("two persons, NS", two, ("NS",), None),
        Row("every start, one person, RT IR", one, ("RT", "IR"), 5.0, every_start=True),
        Row("every start, one person, NS", one, ("NS",), 60.0, every_start=True),
    ]


def solve(row: Row) -> VillageSolution:
    """Enumerate and solve."""
    if not row.every_start:
        return solve_village(row.config, row.objectives)
    layers = from_every_start(row.config, twin="NS" in row.objectives)
    weights = np.array([objective_weights(layers.world.config, name) for name in row.objectives])
    return VillageSolution(row.objectives, layers, back_up(layers, weights))


def from_every_start(config: VillageConfig, *, twin: bool) -> Layers:
    """States from all cells of agent and person and all tastes: 25 · 25 · 3 starts for 5 × 5 cells."""
    world = list_village(dataclasses.replace(config, start_theta="any", horizon=1), twin=twin).world
    world = dataclasses.replace(world, kernel_config=world.kernel_config._replace(horizon=config.dials.horizon))
    count = config.size**2
    agents, people, thetas = (part.ravel() for part in np.indices((count, count, 3)))
    rows = world.begin(np.zeros(len(agents)), np.zeros(len(agents)))
    cells = np.array([cell_of_rank(rank, config.size) for rank in range(count)])
    for half in (real_half(rows), twin_half(rows)) if twin else (rows,):
        half[:, 0], half[:, PEOPLE + CELL] = cells[agents], cells[people]
        half[:, PEOPLE + THETA] = half[:, PEOPLE + THETA_0] = thetas
    return list_layers(world, rows)


def seconds_of(work: Callable[[], VillageSolution], repeats: int) -> tuple[float, VillageSolution]:
    """Least CPU seconds of some calls, and what the last one returned."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        found = work()
        best = min(best, time.process_time() - start)
    return best, found


def faults_of(row: Row, solution: VillageSolution) -> list[str]:
    """What does not check out; runs with several persons or every start are checked by their values alone."""
    faults = [f"{row.words}: a value is not finite"] * (not np.isfinite(solution.solution.values).all())
    if row.every_start or row.config.num_persons > 1:
        return faults
    for name in row.objectives:
        if name == "NS_lit":
            continue
        played = evaluate_village(row.config, solution.policy(name)).values[name]
        if abs(played - solution.value(name)) > 1e-9:
            faults.append(f"{row.words}: {name} is {solution.value(name)}, its policy earns {played}")
    return faults


def known_faults() -> list[str]:
    """The default village's values, and the inert policy's MI_c."""
    config = VillageConfig()
    solution = solve_village(config, tuple(KNOWN))
    faults = [f"{n}: {solution.value(n)} for {v}" for n, v in KNOWN.items() if abs(solution.value(n) - v) > 1e-9]
    inert = evaluate_village(config, lambda rows: np.eye(11)[np.full(len(rows), WAIT)])
    return faults + ["the inert policy influences"] * (inert.mi_coupled != 0)


def report(rows: Sequence[Row], repeats: int, machine: Machine) -> list[str]:
    """Print the table; returns what failed."""
    faults = known_faults()
    print(f"{'village':34s} {'(state, t)':>11s} {'CPU s':>8s} {'bar':>6s}")
    for row in rows:
        small = dataclasses.replace(row, config=dataclasses.replace(row.config, horizon=2))
        solve(small)  # compiles
        seconds, solution = seconds_of(lambda row=row: solve(row), repeats)
        bar = f"{row.bar:.0f}" if row.bar else "none"
        print(f"{row.words:34s} {solution.layers.num_states:11,d} {seconds:8.2f} {bar:>6s}", flush=True)
        if row.bar and seconds > row.bar / machine.scale:
            faults.append(f"{row.words} took {seconds:.1f} s, the bar is {row.bar / machine.scale:.1f} s here")
        faults += faults_of(row, solution)
    return faults


def main() -> int:
    """Run; the exit status is 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", type=int, default=5)
    parser.add_argument("--horizon", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.5, help="for measuring the machine")
    arguments = parser.parse_args()
    machine = measure_machine(arguments.seconds)
    print(machine)
    faults = report(table_of(arguments.size, arguments.horizon), arguments.repeats, machine)
    print("\n".join(f"FAILED: {fault}" for fault in faults) or "all bars held, all answers checked")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
