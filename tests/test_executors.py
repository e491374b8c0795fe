"""Workers may die, hang or be interrupted: the task is named, the rest goes on, and no process stays behind."""

from __future__ import annotations

import os
import re
import signal
import sys
import time

import pytest

from analysis.executors import LocalExecutor, SerialExecutor
from envs.errors import UserError


def echo(text: str) -> str:
    return f"{text} {os.getpid()}"


def environment(_: str) -> str:
    return " ".join(os.environ.get(name, "-") for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"))


def misbehave(how: str) -> str:
    if how == "os_exit":
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "raise":
        raise KeyError("x")
    if how == "sys_exit":
        sys.exit(2)
    if how == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
        return "survived"
    time.sleep(1000)
    return ""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def gone(pids, *, seconds=5.0):
    limit = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < limit:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


def test_results_come_as_they_end_and_workers_are_kept():
    with LocalExecutor(2) as executor:
        assert executor.num_free == 2
        executor.submit("a", echo, "1")
        executor.submit("b", echo, "2")
        assert executor.num_free == 0
        results = executor.wait()
        while len(results) < 2:
            results += executor.wait()
        first = {result.name: result.value.split() for result in results}
        assert {name: value[0] for name, value in first.items()} == {"a": "1", "b": "2"}
        executor.submit("c", echo, "3")
        (again,) = executor.wait()
        pids = {int(value[1]) for value in first.values()}
        assert int(again.value.split()[1]) in pids
        assert os.getpid() not in pids
        executor.submit("env", environment, "")
        assert executor.wait()[0].value == "1 1 1"
        assert executor.wait() == []
    assert gone(pids)


@pytest.mark.parametrize(
    ("how", "failure", "message"),
    [
        ("os_exit", "WorkerDied", r"EXIT\(7\)"),
        ("kill", "WorkerDied", r"SIGKILL\(-9\).*fewer workers"),
        ("hang", "TimeLimit", "time limit of 6 s"),
    ],
)
def test_a_lost_worker_takes_one_named_task_with_it(how, failure, message):
    with LocalExecutor(2, time_limit=6) as executor:
        executor.submit("bad", misbehave, how)
        executor.submit("good", echo, "1")
        clock, results = time.monotonic(), []
        while len(results) < 2:
            results += executor.wait()
        assert time.monotonic() - clock < 20
        bad, good = sorted(results, key=lambda result: result.name)
        assert (bad.name, bad.value, bad.failure) == ("bad", None, failure)
        assert re.search(message, bad.message)
        executor.submit("after", echo, good.value.split()[1])
        (after,) = executor.wait()
        assert after.failure is None
        pids = {int(word) for word in after.value.split()}
    assert gone(pids)


def test_exceptions_and_signals_in_a_task_do_not_end_the_worker():
    with LocalExecutor(1) as executor:
        for how, failure in (("raise", "KeyError"), ("sys_exit", "SystemExit"), ("interrupt", None)):
            executor.submit(how, misbehave, how)
            assert [result.failure for result in executor.wait()] == [failure]


def test_close_ends_running_tasks():
    executor = LocalExecutor(1)
    executor.submit("a", echo, "1")
    pid = int(executor.wait()[0].value.split()[1])
    executor.submit("b", misbehave, "hang")
    clock = time.monotonic()
    executor.close()
    assert time.monotonic() - clock < 2
    assert gone([pid])
    assert executor.num_free == 1


def test_serial_runs_here():
    executor = SerialExecutor()
    executor.submit("a", echo, "1")
    assert executor.num_free == 0
    assert [result.value for result in executor.wait()] == [f"1 {os.getpid()}"]
    assert executor.wait() == []
    executor.close()


@pytest.mark.parametrize(("workers", "limit"), [(0, 1.0), (-1, 1.0), (1, 0.0)])
def test_bad_numbers_are_refused(workers, limit):
    with pytest.raises(UserError, match="at least 1 worker"):
        LocalExecutor(workers, time_limit=limit)
