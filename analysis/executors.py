"""Where cells are computed: in this process, or in local worker processes that may die without harm to the rest.

An executor takes tasks (a name, a module-level function from text to text, and its text) while it has a free slot, and
hands results back as they finish. A slot of `LocalExecutor` is a loky pool of one process, so a worker that dies or
hangs takes exactly one task with it, which is thereby known by name; the slot starts a fresh worker.

Workers run one thread each (torch, numba and BLAS by environment variables set before they start), ignore Ctrl-C (the
parent ends them, by 'psutil' and not by a program that may be missing) and end themselves when the parent is gone.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

from joblib.externals import loky

from envs.errors import UserError

Task = Callable[[str], str]

WORKER_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }
)
PARENT_CHECK_SECONDS = 0.5
HAND_OVER_SECONDS = 1.0


@dataclass(frozen=True)
class TaskResult:
    """An ended task: its ``value``, or its ``failure`` ("WorkerDied", "TimeLimit" or an exception type) in words."""

    name: str
    seconds: float
    value: str | None = None
    failure: str | None = None
    message: str = ""


class Executor(Protocol):
    """What a study needs of a place to compute."""

    @property
    def num_free(self) -> int:
        """Tasks that can be submitted now."""

    def submit(self, name: str, function: Task, argument: str) -> None:
        """Start a task; there must be a free slot."""

    def wait(self) -> list[TaskResult]:
        """Wait until at least one task has ended; [] where none is running."""

    def close(self) -> None:
        """End all workers at once; running tasks are lost."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as workers do: another number of threads adds in another order and gives other bits."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


class SerialExecutor:
    """Runs each task in this process as it is submitted: for debugging, without protection from crashes."""

    def __init__(self) -> None:
        self._results: list[TaskResult] = []

    @property
    def num_free(self) -> int:
        """1 unless a result waits to be collected."""
        return 1 - len(self._results)

    def submit(self, name: str, function: Task, argument: str) -> None:
        """Run the task now; its exceptions propagate."""
        clock = time.perf_counter()
        with one_thread():
            value = function(argument)
        self._results.append(TaskResult(name, time.perf_counter() - clock, value))

    def wait(self) -> list[TaskResult]:
        """Return what has not been collected."""
        results, self._results = self._results, []
        return results

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class _Slot:
    """One worker process at a time; ``name`` is that of the running task."""

    pool: Any = None
    future: concurrent.futures.Future[str] | None = None
    name: str = ""
    started: float = 0.0


class LocalExecutor:
    """Worker processes on this machine.

    Args:
        num_workers: slots, at least 1.
        time_limit: seconds after which a task's worker is killed; it includes starting the worker.

    Raises:
        UserError: a number out of range.
    """

    def __init__(self, num_workers: int, *, time_limit: float = 3600.0) -> None:
        if num_workers < 1 or time_limit <= 0:
            raise UserError(
                f"There are {num_workers} workers with a time limit of {time_limit} s, but at least 1 worker and a "
                "limit above 0 are needed."
            )
        self._slots = [_Slot() for _ in range(num_workers)]
        self._time_limit = time_limit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def num_free(self) -> int:
        """Slots without a task."""
        return sum(slot.future is None for slot in self._slots)

    def submit(self, name: str, function: Task, argument: str) -> None:
        """Start a task in a free slot, with a worker that is kept from earlier tasks or started now."""
        slot = next(slot for slot in self._slots if slot.future is None)
        if slot.pool is None:
            slot.pool = _new_pool()
        slot.name, slot.started = name, time.monotonic()
        slot.future = slot.pool.submit(_run_in_worker, function, argument)

    def wait(self) -> list[TaskResult]:
        """Wait for the first ends, and kill workers that are over the time limit."""
        running = [slot for slot in self._slots if slot.future is not None]
        if not running:
            return []
        remaining = min(slot.started for slot in running) + self._time_limit - time.monotonic()
        futures = [slot.future for slot in running if slot.future is not None]
        concurrent.futures.wait(futures, max(0.0, remaining), concurrent.futures.FIRST_COMPLETED)
        ended = [slot for slot in running if slot.future is not None and (slot.future.done() or self._late(slot))]
        return [self._collect(slot) for slot in ended] or self.wait()

    def close(self) -> None:
        """Kill every worker and wait until it is gone."""
        for slot in self._slots:
            _end(slot)

    def _late(self, slot: _Slot) -> bool:
        return time.monotonic() - slot.started >= self._time_limit

    def _collect(self, slot: _Slot) -> TaskResult:
        """Empty a slot whose task has ended or is late; its pool is kept only after a normal end."""
        future, seconds = slot.future, time.monotonic() - slot.started
        assert future is not None
        if not future.done():
            _end(slot)
            limit = f"it ran longer than the time limit of {self._time_limit:g} s and its worker was killed"
            return TaskResult(slot.name, seconds, failure="TimeLimit", message=limit)
        slot.future = None
        error = future.exception()
        if error is None:
            return TaskResult(slot.name, seconds, future.result())
        if isinstance(error, concurrent.futures.BrokenExecutor):
            _end(slot)
            return TaskResult(slot.name, seconds, failure="WorkerDied", message=_death(error))
        return TaskResult(slot.name, seconds, failure=type(error).__name__, message=str(error))


def _new_pool() -> Any:
    return loky.ProcessPoolExecutor(
        max_workers=1, env=dict(WORKER_ENVIRONMENT), initializer=_start_worker, initargs=(os.getpid(),)
    )


def _end(slot: _Slot) -> None:
    """Kill the slot's worker and forget its task."""
    pool, future = slot.pool, slot.future
    slot.pool = slot.future = None
    if pool is None:
        return
    # loky's thread fails on a task that it has not yet handed to the worker when the pool is ended.
    limit = time.monotonic() + HAND_OVER_SECONDS
    while future is not None and not (future.running() or future.done()) and time.monotonic() < limit:
        time.sleep(0.001)
    pool.shutdown(wait=True, kill_workers=True)


def _death(error: BaseException) -> str:
    """Word a worker's death, with the exit code that loky names as EXIT(code) or SIGNAME(-number)."""
    code = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    reason = code.group(1) if code else type(error).__name__
    hint = (
        "; the system kills processes like this when memory runs out, so try fewer workers" if "KILL" in reason else ""
    )
    return f"its worker process died ({reason}){hint}"


def _start_worker(parent_pid: int) -> None:
    """Run in each worker first: leave Ctrl-C to the parent, and watch for its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, args=(parent_pid,), daemon=True).start()


def _run_in_worker(function: Task, argument: str) -> str:
    """Run a task. Loky collects garbage after it, for a quarter of a second unless modules are frozen."""
    value = function(argument)
    if gc.get_freeze_count() == 0:
        gc.collect()
        gc.freeze()
    return value


def _follow_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
