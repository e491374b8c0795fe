"""Steps per second of our worlds on one core, beside peers in the same run and beside what the machine can write.

Run: python benchmarks/env_speed.py [--envs 4096] [--seconds 1]

A rate is env steps per second of CPU time, the best of repeated measurements. It fails if observations do not change,
if an env's history differs from the same env stepped alone, or if a bar is missed. The bars hold where the machine
reaches the reference (f32 matmul 45 GFLOP/s and memset 20 GB/s on one core) and are scaled by the smaller ratio
elsewhere; that of the threads is a ratio already. With less than 1024 envs there is no bar.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from machine import best_rate, measure_machine, memset_rate
from peers import peer_rates
from threads import measure_threads

from envs import WORLDS, GridEnv, GridVectorEnv, StepBuffers, World, make_world

SINGLE_BAR, THREADS_BAR = 0.1e6, 0.85


class Case(NamedTuple):
    """A world to measure.

    Attributes:
        name: Name of the world.
        options: Its options.
        bar: Steps per second of `step_into` on a machine that reaches the reference, 0 for none.
    """

    name: str
    options: dict[str, Any]
    bar: float


FRESH = {"num_levels": 2**31}  # No level is met twice, so every episode draws its own.
CASES = (
    Case("CrossedHistory", {}, 20e6),
    Case("CrossedHistory", FRESH, 0.0),
    Case("MultiNeed", {}, 0.0),
    Case("MultiNeed", {"drift": 0.2}, 0.0),
    Case("CornerMaze-9x9", FRESH, 5e6),
    Case("CornerMaze-9x9", {**FRESH, "generator": "tree"}, 5e6),
)


def step_into_rate(world: World, *, num_envs: int, seconds: float, num_slices: int = 1) -> float:
    """Steps per second under random actions; with slices, each step writes planes into its own slice of a rollout."""
    env, buffers = GridVectorEnv(world, num_envs), StepBuffers.empty(world, num_envs)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, world.num_actions, (64, num_envs))
    slices = np.zeros((num_slices, *buffers.planes.shape), np.uint8)
    targets = [StepBuffers(**{**vars(buffers), "planes": part}) for part in slices]

    def work() -> float:
        for t in range(64):
            env.step_into(actions[t], targets[t % num_slices])
        return 64.0 * num_envs

    work()
    before = slices[0].copy()
    rate = best_rate(work, seconds=seconds)
    moved = (slices[0] != before).any(axis=(1, 2, 3)).mean()
    if moved < 0.9:
        raise SystemExit(f"only {moved:.0%} of the observations changed: the steps do nothing")
    return rate


def step_rate(world: World, *, num_envs: int, seconds: float) -> float:
    """Steps per second of the public `step`, which copies and makes infos."""
    env = GridVectorEnv(world, num_envs)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, world.num_actions, (16, num_envs))

    def work() -> float:
        for row in actions:
            env.step(row)
        return 16.0 * num_envs

    return best_rate(work, seconds=seconds)


def single_rate(world: World, *, seconds: float) -> float:
    """Steps per second of one env stepped from Python without wrappers, its resets included."""
    env = GridEnv(world)
    first, _ = env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, world.num_actions, 1000).tolist()
    shown = [first["planes"]]

    def work() -> float:
        for action in actions:
            observation, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        shown.append(observation["planes"])
        return float(len(actions))

    rate = best_rate(work, seconds=seconds)
    if all((planes == shown[0]).all() for planes in shown[1:]):
        raise SystemExit("the observations of the single env did not change: its steps do nothing")
    return rate


def check_against_single_envs(world: World) -> None:
    """Env k of a batch must do what env k does alone."""
    batch, actions = GridVectorEnv(world, 64), np.random.default_rng(1).integers(0, world.num_actions, (200, 64))
    batch.reset(seed=0)
    alone = [GridVectorEnv(world, 1, first_env=k) for k in (0, 31, 63)]
    for env in alone:
        env.reset(seed=0)
    for row in actions:
        many = batch.step(row)[0]["planes"]
        for env in alone:
            if (env.step(row[[env.first_env]])[0]["planes"][0] != many[env.first_env]).any():
                raise SystemExit(f"env {env.first_env} of the batch differs from the same env alone")


def report(label: str, rate: float, *, bar: float = 0.0, note: str = "") -> list[str]:
    """Print a rate; the result names it if it misses its bar."""
    against = f"bar {bar / 1e6:.2f} M" if bar else ""
    print(f"{label:52s} {rate / 1e6:9.4f} M steps/s  {against}{note}", flush=True)
    return [f"{label} reached {rate / 1e6:.2f} M steps/s, bar {bar / 1e6:.2f} M"] if rate < bar else []


def measure_cases(*, num_envs: int, seconds: float, scale: float) -> list[str]:
    """Measure `step_into` of all cases; returns the bars missed, and names what is not here."""
    failures = []
    for name, options, bar in CASES:
        label = " ".join([name, *(f"{key}={value}" for key, value in options.items())])
        if name.split("-")[0] not in WORLDS:
            print(f"{label:52s} NOT MEASURED: there is no such world here")
            continue
        world = make_world(name, **options)
        check_against_single_envs(world)
        size = world.background.nbytes + 4 * len(world.vector_names)
        limit = memset_rate(seconds / 4, num_bytes=size * num_envs) / size
        rate = step_into_rate(world, num_envs=num_envs, seconds=seconds)
        failures += report(label, rate, bar=bar * scale, note=f"  (memset of {size} bytes: {limit / 1e6:.0f} M)")
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    options = parser.parse_args()
    seconds, num_envs = options.seconds, options.envs
    machine, held, fewer = measure_machine(seconds), num_envs >= 1024, min(num_envs, 1024)
    scale = machine.scale * held
    print(machine)
    print(f"step_into, {num_envs} envs")
    failures = measure_cases(num_envs=num_envs, seconds=seconds, scale=scale)
    world = make_world("CrossedHistory")
    print("CrossedHistory otherwise")
    batch = step_into_rate(world, num_envs=fewer, seconds=seconds)
    failures += report(f"step_into, {fewer} envs", batch, bar=20e6 * scale)
    report("step_into a rollout of 64 steps", step_into_rate(world, num_envs=num_envs, seconds=seconds, num_slices=64))
    report("step, which copies and makes infos", step_rate(world, num_envs=num_envs, seconds=seconds))
    single = single_rate(world, seconds=seconds)
    failures += report("one env from Python", single, bar=SINGLE_BAR * scale)
    failures += measure_threads(world, num_envs=fewer, seconds=seconds, bar=THREADS_BAR * held)
    if num_envs > fewer:  # The buffers of 16 steps then lie outside of a core's own cache.
        measure_threads(world, num_envs=num_envs, seconds=seconds, bar=0.0)
    print(f"peers, and how many times as fast CrossedHistory is: one env against one env, {fewer} envs against {fewer}")
    for name, rate in peer_rates(num_envs=fewer, seconds=seconds).items():
        report(name, rate, note=f"x {(single if 'one env' in name else batch) / rate:.0f}")
    if failures:
        raise SystemExit("bars missed: " + "; ".join(failures))


if __name__ == "__main__":
    main()
