"""Cell functions for the tests of the study engine; workers import this module by name."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from analysis.study import Cell, CellContext, cell_function


@cell_function("test.record", version=1, seconds=2.0)
def record(context: CellContext) -> list[dict]:
    data = np.random.default_rng(context.config["seed"]).normal(size=5)
    (context.folder / "data.txt").write_text(" ".join(map(repr, data.tolist())))
    return [{"mean": data.mean(), "set": sorted({"b", "a", "c"})}]


@cell_function("test.fit", version=1)
def fit(context: CellContext) -> list[dict]:
    parent = context.parent("test.record")
    data = [float(word) for word in (parent.folder / "data.txt").read_text().split()]
    assert np.mean(data) == parent.rows[0]["mean"]
    time.sleep(float(os.environ.get("STUDY_CELLS_SLEEP", "0")))
    return [{"step": step, "value": value * context.config["arm"]} for step, value in enumerate(data)]


@cell_function("test.sleep", version=1, seconds=lambda config: config["sleep"])
def sleep(context: CellContext) -> list[dict]:
    time.sleep(context.config["sleep"])
    return [{"pid": os.getpid() if context.config.get("pid") else 0}]


@cell_function("test.count", version=1)
def count(context: CellContext) -> list[dict]:
    """Leave a mark for each call outside the study, to see what is computed again."""
    with open(context.config["log"], "a") as file:
        file.write(f"{context.config['index']}\n")
    return [{"index": context.config["index"]}]


@cell_function("test.fail", version=1)
def fail(context: CellContext) -> list[dict]:
    kind = context.config["kind"]
    if kind == "raise":
        raise ArithmeticError("value loss is nan in step 7")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "os_exit":
        os._exit(7)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(1000)
    if kind == "once" and not os.path.exists(context.config["mark"]):
        open(context.config["mark"], "w").close()
        raise RuntimeError("only the first time")
    return [{"fine": True}]


@cell_function("test.rows", version=1)
def rows(context: CellContext) -> object:
    return {"nan": [{"x": float("nan")}], "text": "no rows", "reserved": [{"cell": 1}], "none": []}[
        context.config["kind"]
    ]


@cell_function("test.threads", version=1)
def threads(context: CellContext) -> list[dict]:
    import torch

    return [{"threads": torch.get_num_threads(), "omp": os.environ.get("OMP_NUM_THREADS")}]


def study(num_seeds: int = 3) -> list[Cell]:
    """Recorders with two fits each: the shape of a comparison."""
    records = [Cell("test.record", {"seed": seed}) for seed in range(num_seeds)]
    fits = [Cell("test.fit", {"arm": arm}, parents=(r,)) for r in records for arm in (1, 2)]
    return [*fits, *records]
