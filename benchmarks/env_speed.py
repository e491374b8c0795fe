"""Steps per second of MultiNeed on one core, beside what the machine can write and multiply.

Run: python benchmarks/env_speed.py [--envs 4096] [--seconds 1]

It fails if the observations do not change, if an env's history differs from the same env stepped alone, or, where the
machine reaches the reference (f32 matmul ≥ 45 GFLOP/s and memset ≥ 20 GB/s on one core), if `step_into` stays below 5
million steps per second; elsewhere the bar is scaled by the smaller of the two ratios.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from envs import GridVectorEnv, StepBuffers, World, make_world

BAR, REFERENCE_GFLOPS, REFERENCE_GIGABYTES = 5e6, 45.0, 20.0


def best_rate(work: Callable[[], float], *, seconds: float) -> float:
    """Best of repeated calls, in units of work per second of CPU time; `work` returns its units."""
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.process_time()
        units = work()
        best = max(best, units / max(time.process_time() - start, 1e-9))
    return best


def memset_rate(seconds: float, *, num_bytes: int = 64 * 2**20) -> float:
    block, repeats = np.zeros(num_bytes, np.uint8), max(1, 2**25 // num_bytes)

    def work() -> float:
        for value in range(repeats):
            block.fill(value % 2)
        return float(block.nbytes * repeats)

    return best_rate(work, seconds=seconds)


def matmul_rate(seconds: float) -> float:
    left = np.random.default_rng(0).random((1024, 1024), np.float32)

    def work() -> float:
        np.matmul(left, left)
        return 2.0 * 1024**3

    return best_rate(work, seconds=seconds)


def step_into_rate(world: World, *, num_envs: int, seconds: float, rollout: bool = False) -> float:
    """Env steps per second under random actions; with `rollout` each step writes planes into its own slice of time."""
    env, buffers = GridVectorEnv(world, num_envs), StepBuffers.empty(world, num_envs)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, world.num_actions, (64, num_envs))
    slices = np.zeros((64 if rollout else 1, *buffers.planes.shape), np.uint8)
    targets = [StepBuffers(**{**vars(buffers), "planes": part}) for part in slices]

    def work() -> float:
        for t in range(64):
            env.step_into(actions[t], targets[t % len(targets)])
        return 64.0 * num_envs

    work()
    before = slices[0].copy()
    rate = best_rate(work, seconds=seconds)
    moved = (slices[0] != before).any(axis=(1, 2, 3)).mean()
    if moved < 0.9:
        raise SystemExit(f"only {moved:.0%} of the observations changed: the steps do nothing")
    return rate


def step_rate(world: World, *, num_envs: int, seconds: float) -> float:
    """Env steps per second of the public `step`, which copies and makes infos."""
    env = GridVectorEnv(world, num_envs)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, world.num_actions, (16, num_envs))

    def work() -> float:
        for row in actions:
            env.step(row)
        return 16.0 * num_envs

    return best_rate(work, seconds=seconds)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    world = make_world("MultiNeed")
    check_against_single_envs(world)
    gigabytes, gigaflops = memset_rate(options.seconds) / 1e9, matmul_rate(options.seconds) / 1e9
    size = world.background.nbytes + 4 * len(world.vector_names)
    cached = memset_rate(options.seconds, num_bytes=size * options.envs) / 1e9
    print(f"machine, one core: f32 matmul {gigaflops:.0f} GFLOP/s; memset {gigabytes:.0f} GB/s in 64 MiB")
    print(f"MultiNeed, {options.envs} envs, observations of {size} bytes")
    print(f"memset of the observations       {cached * 1e3 / size:6.2f} M steps/s ({cached:.0f} GB/s)")
    rate = step_into_rate(world, num_envs=options.envs, seconds=options.seconds)
    print(f"step_into                        {rate / 1e6:6.2f} M steps/s")
    rollout = step_into_rate(world, num_envs=options.envs, seconds=options.seconds, rollout=True)
    print(f"step_into, rollout of 64 steps   {rollout / 1e6:6.2f} M steps/s")
    drift = step_into_rate(make_world("MultiNeed", drift=0.2), num_envs=options.envs, seconds=options.seconds)
    print(f"step_into, 4 chance channels     {drift / 1e6:6.2f} M steps/s")
    copied = step_rate(world, num_envs=options.envs, seconds=options.seconds)
    print(f"step (copies, infos)             {copied / 1e6:6.2f} M steps/s")
    single = step_rate(world, num_envs=1, seconds=options.seconds)
    print(f"step, one env                    {single / 1e6:6.4f} M steps/s")
    bar = BAR * min(1.0, gigaflops / REFERENCE_GFLOPS, gigabytes / REFERENCE_GIGABYTES)
    if rate < bar:
        raise SystemExit(f"step_into reached {rate / 1e6:.2f} M steps/s, the bar on this machine is {bar / 1e6:.2f} M")


if __name__ == "__main__":
    main()
