"""What two threads keep of one thread's speed, when each owns half of the envs and takes 16 steps in a call."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

import numpy as np

from envs import GridVectorEnv, StepBuffers, World

NUM_STEPS = 16


class Half(NamedTuple):
    """What one thread owns: its envs, with streams of their own, its actions and its buffers."""

    env: GridVectorEnv
    actions: np.ndarray
    buffers: StepBuffers


def make_half(world: World, *, first_env: int, num_envs: int) -> Half:
    env = GridVectorEnv(world, num_envs, first_env=first_env)
    env.reset(seed=0)
    actions = np.random.default_rng(first_env).integers(0, world.num_actions, (NUM_STEPS, num_envs))
    return Half(env, actions, StepBuffers.empty(world, num_envs, num_steps=NUM_STEPS))


def play(half: Half, num_calls: int, cpu_seconds: list[float]) -> None:
    start = time.thread_time()
    for _ in range(num_calls):
        half.env.steps_into(half.actions, half.buffers)
    cpu_seconds.append(time.thread_time() - start)


def play_side_by_side(halves: list[Half], num_calls: int) -> tuple[float, float]:
    """Wall-clock seconds until all are done, and CPU seconds of a thread on average."""
    cpu_seconds: list[float] = []
    workers = [threading.Thread(target=play, args=(half, num_calls, cpu_seconds)) for half in halves]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start, sum(cpu_seconds) / len(halves)


def measure_threads(world: World, *, num_envs: int, seconds: float, bar: float) -> list[str]:
    """Compare two threads with one, taking turns; returns the bar where it is missed.

    Two threads have a core each only on a machine that is otherwise idle. Where others hold the cores, wall-clock time
    says how much they left, so the bar is then held against the threads' CPU time, and that is said.
    """
    halves = [make_half(world, first_env=first, num_envs=num_envs // 2) for first in (0, num_envs // 2)]
    play_side_by_side(halves, 1)
    wall, _ = play_side_by_side(halves[:1], 8)
    num_calls = max(1, int(8 * min(seconds, 0.25) / wall))
    times: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    end = time.perf_counter() + 4 * seconds
    while not times[1] or time.perf_counter() < end:
        for count in (1, 2):
            times[count].append(play_side_by_side(halves[:count], num_calls))
    (wall_1, cpu_1), (wall_2, cpu_2) = (np.min(times[count], axis=0) for count in (1, 2))
    by_wall, by_cpu = wall_1 / wall_2, cpu_1 / cpu_2
    busy = min(wall - cpu for wall, cpu in times[2]) > 0.05 * wall_2
    judged, by = (by_cpu, "CPU time, as other processes hold the cores") if busy else (by_wall, "wall-clock time")
    label = f"two threads, {NUM_STEPS} steps a call, {num_envs // 2} envs each"
    print(f"{label:52s} keep {by_wall:.0%} of a thread's speed by wall-clock time, {by_cpu:.0%} by CPU time")
    if bar:
        print(f"{'':52s} judged by {by}; bar {bar:.0%}")
    return [f"two threads keep {judged:.0%}, bar {bar:.0%}"] if judged < bar else []
