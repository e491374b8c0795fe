"""The study engine: equal hashes for equal work, resumption, failures as rows, one digest, many writers, one table."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import study_cells

from analysis import provenance
from analysis.cell_files import StudyFolder, publish
from analysis.cells import CELLS, cell_function
from analysis.executors import SerialExecutor
from analysis.schedule import RemainingTime, Schedule, make_plan
from analysis.study import Cell, commits_of, digest, read_study, run_study
from analysis.study_table import export_parquet, read_rows, study_table, to_table
from envs.errors import UserError

TESTS = Path(__file__).parent
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

# --- cells ----------------------------------------------------------------------------------------------------------


def test_hash_known_answer_and_what_it_covers():
    cell = Cell("test.record", {"seed": 0})
    text = b'{"config":{"seed":0},"function":"test.record","parents":[],"version":1}'
    assert cell.hash == hashlib.sha256(text).hexdigest()
    different = [
        Cell("test.record", {"seed": 1}),
        Cell("test.record", {"seed": 0.0}),
        Cell("test.fit", {"seed": 0}),
        Cell("test.record", {"seed": 0}, parents=(cell,)),
    ]
    assert len({cell, *different}) == 5
    assert Cell("test.record", {"seed": np.int64(0)}) == cell
    assert Cell("test.fit", {}, (cell,)) == Cell("test.fit", {}, (cell.hash,))


def test_hash_covers_the_code_version(monkeypatch):
    before = Cell("test.record", {"seed": 0}).hash
    monkeypatch.setitem(CELLS, "test.record", type(CELLS["test.record"])(study_cells.record, version=2))
    assert Cell("test.record", {"seed": 0}).hash != before


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
@settings(max_examples=60, deadline=None)
def test_hash_ignores_the_order_of_keys_and_survives_json(config):
    cell = Cell("test.record", config)
    assert Cell("test.record", dict(reversed(config.items()))) == cell
    assert Cell("test.record", json.loads(json.dumps(config))) == cell


def test_a_cell_keeps_its_own_copy():
    config = {"seed": 0, "list": [1]}
    cell = Cell("test.record", config)
    config["list"].append(2)
    assert cell == Cell("test.record", {"seed": 0, "list": [1]})
    with pytest.raises(TypeError):
        cell.config["seed"] = 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cell("test.recrod"), "Did you mean 'test.record'"),
        (lambda: Cell("test.record", {"x": float("nan")}), r"Config of test.record.x is nan"),
        (lambda: Cell("test.record", {"x": {1: 2}}), "must be strings"),
        (lambda: Cell("test.record", {"x": Path()}), "Path"),
        (lambda: cell_function("test.record", version=1)(study_cells.fit), "belongs to"),
        (lambda: cell_function("test.local", version=1)(lambda context: []), "imported by a worker"),
    ],
)
def test_bad_cells_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


# --- order ----------------------------------------------------------------------------------------------------------


def simulate(cells, *, num_workers):
    """Makespan of the schedule when every cell takes its expected time; also checks that parents come first."""
    plan = make_plan(cells)
    schedule, running, clock, ended = Schedule(plan), [], 0.0, set()
    while schedule.pending:
        while len(running) < num_workers and (cell := schedule.next()) is not None:
            assert set(cell.parent_hashes) <= ended
            running.append((clock + cell.seconds, cell.hash))
        running.sort()
        clock, name = running.pop(0)
        ended.add(name)
        schedule.finish(name)
    assert len(ended) == len(plan.cells)
    return clock


def sleeper(seconds, *parents, index=0):
    return Cell("test.sleep", {"sleep": seconds, "index": index}, parents=parents)


def test_no_barrier_between_levels():
    """A chain of 1 + 1 + 1 beside one cell of 3: level by level would take 5, the schedule takes 3."""
    first = sleeper(1.0)
    second = sleeper(1.0, first)
    assert simulate([sleeper(3.0), first, second, sleeper(1.0, second)], num_workers=2) == 3.0


def test_long_cells_and_long_chains_start_first():
    assert simulate([*(sleeper(1.0, index=i) for i in range(4)), sleeper(4.0)], num_workers=2) == 4.0
    head = sleeper(1.0)
    chain = sleeper(3.0, head)
    assert simulate([sleeper(2.0, index=1), sleeper(2.0, index=2), head, chain], num_workers=2) == 4.0


@given(st.lists(st.tuples(st.floats(0.1, 5), st.sets(st.integers(0, 8), max_size=3)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_any_graph_is_finished_within_grahams_bound(layout):
    cells: list[Cell] = []
    for index, (seconds, parents) in enumerate(layout):
        cells.append(sleeper(seconds, *(cells[p] for p in sorted(parents) if p < index), index=index))
    total, plan = sum(cell.seconds for cell in cells), make_plan(cells[::-1])
    longest = max(plan.priority.values())
    assert simulate(cells[::-1], num_workers=2) <= total / 2 + longest / 2 + 1e-9  # Graham 1969


def test_failure_takes_all_dependants_and_nothing_else():
    root, other = sleeper(1.0), sleeper(1.0, index=1)
    child = sleeper(1.0, root)
    grandchild, free = sleeper(1.0, child, other), sleeper(1.0, other, index=2)
    schedule = Schedule(make_plan([grandchild, free, child, root, other]))
    assert schedule.fail(root.hash) == [child, grandchild]
    assert schedule.pending == {other.hash, free.hash}


def test_remaining_time_uses_measured_durations():
    remaining, cells = RemainingTime(), [sleeper(2.0, index=i) for i in range(4)]
    assert remaining.estimate(cells, num_workers=2) is None
    remaining.add(cells[0], 6.0)
    assert remaining.estimate(cells[1:], num_workers=2) == pytest.approx(9.0)
    assert remaining.estimate([Cell("test.record", {"seed": 0})], num_workers=1) == pytest.approx(6.0)


# --- runs -----------------------------------------------------------------------------------------------------------


def test_parents_rows_and_artifacts_reach_their_children(tmp_path):
    result = run_study(study_cells.study(2), tmp_path, workers=0)
    assert (len(result.computed), result.exit_code, result.warnings) == (6, 0, ())
    records = {record.hash: record for record in read_study(tmp_path)}
    fit = next(record for record in records.values() if record.function == "test.fit" and record.config["arm"] == 2)
    data = (tmp_path / "artifacts" / fit.parents[0] / "data.txt").read_text().split()
    assert [row["value"] for row in fit.rows] == [2 * float(word) for word in data]
    assert not (tmp_path / "artifacts" / fit.hash).exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_one_digest_for_any_number_of_workers_process_and_hash_seed(tmp_path):
    cells = study_cells.study(3)
    digests = []
    for name, workers, order in (("serial", 0, cells), ("one", 1, cells[::-1]), ("two", 2, cells)):
        assert run_study(order, tmp_path / name, workers=workers).exit_code == 0
        digests.append(digest(tmp_path / name))
    script = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r}); import study_cells; from analysis.study import *;"
        f"folder = {str(tmp_path / 'fresh')!r};"
        "run_study(study_cells.study(3), folder, workers=0); print(digest(folder))"
    )
    digests.append(python(script, PYTHONHASHSEED="7").stdout.strip())
    assert len(set(digests)) == 1
    assert digests[0] != digest_of(study_cells.study(2), tmp_path / "other")


def python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def digest_of(cells, folder):
    run_study(cells, folder, workers=0)
    return digest(folder)


def counters(tmp_path, num_cells=5):
    return [Cell("test.count", {"index": i, "log": str(tmp_path / "log")}) for i in range(num_cells)]


def calls(tmp_path):
    return (tmp_path / "log").read_text().split()


def test_finished_cells_are_not_computed_again(tmp_path):
    cells, folder = counters(tmp_path), tmp_path / "study"
    first = run_study(cells[:3], folder, workers=0)
    second = run_study(cells, folder, workers=0)
    assert (len(first.computed), len(second.computed), len(second.skipped)) == (3, 2, 3)
    assert calls(tmp_path) == ["0", "1", "2", "3", "4"]


def test_parents_may_stand_in_the_folder_alone_and_unknown_ones_are_refused(tmp_path):
    record, other = Cell("test.record", {"seed": 0}), Cell("test.record", {"seed": 1})
    run_study([record], tmp_path, workers=0)
    assert run_study([Cell("test.fit", {"arm": 1}, (record,))], tmp_path, workers=0).exit_code == 0
    with pytest.raises(UserError, match="neither given nor finished"):
        run_study([Cell("test.fit", {"arm": 1}, (other,))], tmp_path, workers=0)
    with pytest.raises(UserError, match="no cells"):
        run_study([], tmp_path)


def test_a_failed_cell_is_a_row_and_the_study_goes_on(tmp_path):
    bad = Cell("test.fail", {"kind": "raise", "env": "ValueLab/MultiNeed-v0", "seed": 4})
    child = Cell("test.count", {"index": 9, "log": str(tmp_path / "log")}, parents=(bad,))
    grandchild = Cell("test.count", {"index": 10, "log": str(tmp_path / "log")}, parents=(child,))
    seen = []
    result = run_study(
        [grandchild, child, bad, *counters(tmp_path, 2)], tmp_path / "s", workers=0, progress=seen.append
    )
    assert (result.exit_code, len(result.computed), len(result.failed)) == (1, 2, 3)
    assert calls(tmp_path) == ["0", "1"]
    errors = {record.hash: record.rows for record in read_study(tmp_path / "s") if record.status == "failed"}
    (row,) = errors[bad.hash]
    assert (row["error_type"], row["error_message"]) == ("ArithmeticError", "value loss is nan in step 7")
    assert row["error_line"].startswith("study_cells.py:")
    assert "raise ArithmeticError" in row["error_line"]
    for lost in (child, grandchild):
        assert errors[lost.hash][0]["error_type"] == "FailedParent"
        assert "test.fail(seed=4, kind=raise, env=ValueLab/MultiNeed-v0)" in errors[lost.hash][0]["error_message"]
    assert "seed=4" in str(result.failed[0])
    assert [(p.num_finished, p.num_failed) for p in seen][-1] == (2, 3)
    assert "traceback" in json.loads(StudyFolder(tmp_path / "s").manifest(bad.hash).read_text())


@pytest.mark.parametrize(
    ("kind", "message"),
    [("nan", "Row 0 of test.rows.x is nan"), ("text", "must return a list"), ("reserved", "rename them")],
)
def test_rows_that_are_none_fail_the_cell(tmp_path, kind, message):
    result = run_study([Cell("test.rows", {"kind": kind})], tmp_path, workers=0)
    assert result.exit_code == 1
    assert message in result.failed[0].error["error_message"]


def test_failed_cells_are_tried_again_unless_told_otherwise(tmp_path):
    cell = Cell("test.fail", {"kind": "once", "mark": str(tmp_path / "mark")})
    child = Cell("test.count", {"index": 0, "log": str(tmp_path / "log")}, parents=(cell,))
    assert len(run_study([cell, child], tmp_path / "s", workers=0).failed) == 2
    kept = run_study([cell, child], tmp_path / "s", workers=0, retry_failed=False)
    assert [failed.error["error_type"] for failed in kept.failed] == ["RuntimeError", "FailedParent"]
    again = run_study([cell, child], tmp_path / "s", workers=0)
    assert (again.exit_code, len(again.computed)) == (0, 2)
    assert [row["status"] for row in read_rows(tmp_path / "s")] == ["finished", "finished"]


def test_a_failure_that_cannot_be_read_is_computed_again(tmp_path):
    """Also where failures shall be kept: the damaged file says nothing of what happened."""
    cell = Cell("test.fail", {"kind": "once", "mark": str(tmp_path / "mark")})
    run_study([cell], tmp_path / "s", workers=0)
    path = StudyFolder(tmp_path / "s").rows(cell.hash)
    path.write_bytes(path.read_bytes()[:-5])
    again = run_study([cell], tmp_path / "s", workers=0, retry_failed=False)
    assert (again.exit_code, len(again.computed)) == (0, 1)


class DiesAfterwards(SerialExecutor):
    """A worker that publishes its cell and dies before it can say so."""

    def wait(self):
        return [dataclasses.replace(end, value=None, failure="WorkerDied") for end in super().wait()]


def test_a_worker_that_dies_after_publishing_has_finished_its_cell(tmp_path):
    cells = study_cells.study(1)
    result = run_study(cells, tmp_path, executor=DiesAfterwards())
    assert (result.exit_code, len(result.computed)) == (0, len(cells))


@pytest.mark.slow
def test_lost_workers_are_failed_rows_that_name_the_cell_and_no_process_stays(tmp_path):
    bad = [Cell("test.fail", {"kind": kind, "env": "E", "seed": 1}) for kind in ("os_exit", "kill", "hang", "exit")]
    child = Cell("test.sleep", {"sleep": 0.0, "index": 5}, parents=(bad[0],))
    good = [Cell("test.sleep", {"sleep": 0.0, "index": i}) for i in range(3)]
    result = run_study([*bad, child, *good], tmp_path, workers=2, time_limit=8)
    errors = {failed.cell.config.get("kind", "child"): failed.error for failed in result.failed}
    kinds = {kind: error["error_type"] for kind, error in errors.items()}
    assert kinds == {
        "os_exit": "WorkerDied",
        "kill": "WorkerDied",
        "hang": "TimeLimit",
        "exit": "SystemExit",
        "child": "FailedParent",
    }
    assert "test.fail(env=E, seed=1, kind=kill)" in errors["kill"]["error_message"]
    assert len(result.computed) == 3
    assert workers_of(tmp_path) == []
    assert list((tmp_path / "work").iterdir()) == []


def workers_of(folder, *, seconds=15.0):
    """Processes of the study that still exist after a while: those that the cells' manifests name, zombies included."""
    pids = {json.loads(path.read_text())["pid"] for path in (Path(folder) / "manifest" / "cells").glob("*.json")}
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and any(exists(pid) for pid in pids - {os.getpid()}):
        time.sleep(0.1)
    return [pid for pid in pids - {os.getpid()} if exists(pid)]


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow), pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        signal.SIGKILL,
    ],
)  # fmt: skip
def test_an_interrupted_study_keeps_its_finished_cells_and_goes_on(tmp_path, number):
    script = (
        # A job in a shell's background, as these tests may be, hands on that it ignores SIGINT.
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"sys.path.insert(0, {str(TESTS)!r}); import study_cells; from analysis.study import run_study;"
        f"run_study(study_cells.study(6), {str(tmp_path / 's')!r}, workers=2)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=TESTS.parent,
        env={**os.environ, "STUDY_CELLS_SLEEP": "0.5"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 180
    while len(list((tmp_path / "s" / "cells").glob("[!.]*"))) < 7 and time.monotonic() < limit:
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: to the workers too
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    assert workers_of(tmp_path / "s") == []
    before = read_study(tmp_path / "s")
    assert 7 <= len(before) < 18
    assert {record.status for record in before} == {"finished"}
    result = run_study(study_cells.study(6), tmp_path / "s", workers=0)
    assert len(result.skipped) == len(before)
    assert list((tmp_path / "s" / "work").iterdir()) == []
    assert digest(tmp_path / "s") == digest_of(study_cells.study(6), tmp_path / "straight")


@pytest.mark.slow
def test_several_processes_write_into_one_folder(tmp_path):
    """Three runs at once, with cells of their own and cells in common, from a cold start."""
    folder = str(tmp_path / "s")
    script = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r}); import study_cells; from analysis.study import run_study;"
        f"first = int(sys.argv[1]); cells = study_cells.study(12);"
        f"own = [c for c in cells if c.function == 'test.record' and c.config['seed'] % 3 == first];"
        f"sys.exit(run_study(own + cells, {folder!r}, workers=0).exit_code)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(i)], cwd=TESTS.parent) for i in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert len(read_study(folder)) == 36
    assert digest(folder) == digest_of(study_cells.study(12), tmp_path / "alone")
    assert not list(Path(folder).rglob(".tmp-*"))


def test_publishing_never_replaces_a_finished_cell(tmp_path):
    cell, folder = Cell("test.record", {"seed": 0}), StudyFolder(tmp_path)
    run_study([cell], tmp_path, workers=0)
    before = digest(tmp_path)
    assert not publish(folder, cell.description(), [{"error_type": "WorkerDied"}], status="failed")
    assert digest(tmp_path) == before


@pytest.mark.slow
def test_workers_have_one_thread(tmp_path):
    run_study([Cell("test.threads", {})], tmp_path, workers=1)
    assert read_rows(tmp_path)[0]["threads"] == 1
    assert read_rows(tmp_path)[0]["omp"] == "1"


def test_progress_counts_and_estimates(tmp_path):
    seen = []
    cells = [Cell("test.sleep", {"sleep": 0.05, "index": i}) for i in range(4)]
    run_study(cells[:1], tmp_path, workers=0)
    run_study(cells, tmp_path, workers=0, progress=seen.append)
    assert [progress.num_finished for progress in seen] == [2, 3, 4]
    assert all(progress.num_cells == 4 and progress.error is None for progress in seen)
    assert seen[0].remaining == pytest.approx(0.1, abs=0.05)
    assert seen[-1].remaining == 0


def test_times_stand_outside_the_digest(tmp_path):
    cells = study_cells.study(1)
    run_study(cells, tmp_path, workers=0)
    before = digest(tmp_path)
    manifest = json.loads(StudyFolder(tmp_path).manifest(cells[0].hash).read_text())
    assert {"seconds", "cpu_seconds", "started_utc", "host", "pid", "sources", "run"} <= manifest.keys()
    (run,) = (tmp_path / "manifest" / "runs").iterdir()
    record = json.loads(run.read_text())
    assert {"git", "packages", "threads", "host", "num_slots"} <= record.keys()
    assert record["cells"] == {"computed": 3, "failed": 0, "skipped": 0}
    run.unlink()
    assert digest(tmp_path) == before


def test_code_that_changed_since_is_a_warning(tmp_path, monkeypatch):
    cells = study_cells.study(1)
    run_study(cells, tmp_path, workers=0)
    assert run_study(cells, tmp_path, workers=0).warnings == ()
    true_hashes = provenance.source_hashes
    monkeypatch.setattr(provenance, "source_hashes", lambda modules: {**true_hashes(modules), "shards": "edited"})
    (warning,) = run_study(cells, tmp_path, workers=0).warnings
    assert "computed before code changed are kept: shards (3);" in warning


def test_source_hashes_see_an_edit_and_cover_the_module_of_the_cells(tmp_path, monkeypatch):
    assert {"analysis", "envs", "study_cells"} <= provenance.source_hashes(("study_cells",)).keys()
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "noise.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    before = provenance.source_hashes()
    (tmp_path / "envs" / "noise.py").write_text("x = 2\n")
    assert provenance.source_hashes()["envs"] != before["envs"]


@pytest.mark.parametrize("position", [5, 200, -3])
def test_a_damaged_cell_is_named_and_computed_again(tmp_path, position):
    cells = study_cells.study(1)
    run_study(cells, tmp_path, workers=0)
    before, path = digest(tmp_path), StudyFolder(tmp_path).rows(cells[0].hash)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{cells[0].hash}.jsonl' is damaged"):
        digest(tmp_path)
    result = run_study(cells, tmp_path, workers=0)
    assert [cell.hash for cell in result.computed] == [cells[0].hash]
    assert "damaged" in result.warnings[0]
    assert digest(tmp_path) == before


def test_an_unwritable_folder_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        run_study(counters(tmp_path), tmp_path / "file" / "study", workers=2)
    assert not (tmp_path / "log").exists()


# --- table ----------------------------------------------------------------------------------------------------------


def test_the_table_merges_heterogeneous_rows(tmp_path):
    run_study(
        [*study_cells.study(1), Cell("test.fail", {"kind": "raise"}), Cell("test.rows", {"kind": "none"})],
        tmp_path,
        workers=0,
    )
    table = pl.read_parquet(export_parquet(tmp_path))
    assert table.shape[0] == 12
    assert table.equals(study_table(tmp_path))
    assert table.filter(pl.col("status") == "failed")["error_type"].to_list() == ["ArithmeticError"]
    assert table.filter(pl.col("function") == "test.fit")["config.arm"].unique().sort().to_list() == [1, 2]
    assert table["set"].drop_nulls().to_list() == [["a", "b", "c"]]


def test_column_types(tmp_path):
    rows = [
        {"a": 1, "b": True, "c": "x", "d": [1, 2], "e": 1, "f": None, "g": 2**63, "h": []},
        {"a": 0.5, "c": None, "d": [0.5], "e": "two", "h": []},
        {"e": {"deep": 1}, "d": None},
    ]
    table = to_table(rows)
    table.write_parquet(tmp_path / "x.parquet")
    assert table["a"].to_list() == [1.0, 0.5, None]
    assert table["b"].dtype == pl.Boolean
    assert table["d"].to_list() == [[1.0, 2.0], [0.5], None]
    assert table["e"].to_list() == ["1", "two", '{"deep": 1}']
    assert table["g"].to_list() == [str(2**63), None, None]
    assert to_table([]).is_empty()


@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3), max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_rows_make_a_table(rows):
    assert to_table(rows).shape == (len(rows) if any(rows) else 0, len({name for row in rows for name in row}))


def test_cells_are_counted_by_the_commit_of_the_code_that_computed_them(tmp_path, monkeypatch):
    cells = study_cells.study(1)
    monkeypatch.setattr(provenance, "git_state", lambda: {"commit": "a" * 40, "changed": ["x.py"]})
    run_study(cells, tmp_path, workers=0)
    hashes = [cell.hash for cell in cells]
    assert commits_of(tmp_path, hashes) == {f"{'a' * 10} with changes": len(hashes)}
    assert commits_of(tmp_path, ["0" * 64]) == {"an unknown commit": 1}
