"""Files are whole or absent: atomic writes under kill -9, strict JSON, sweeping, and the replacement of folders."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import storage
from envs.errors import UserError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@settings(max_examples=100, deadline=None)
@given(value=JSON)
def test_json_comes_back_equal_and_equal_values_give_equal_bytes(value: object) -> None:
    data = storage.json_bytes(value)
    back = storage.parse_json(data)
    assert back == value
    assert storage.json_bytes(back) == data


def test_key_order_does_not_change_the_bytes(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "a", {"x": 1, "y": [1.5, None]})
    storage.write_json(tmp_path / "b", {"y": [1.5, None], "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_non_finite_numbers_are_refused_with_their_place_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    storage.write_json(path, {"loss": [0.5]})
    with pytest.raises(ValueError, match="/loss/1.*nan"):
        storage.write_json(path, {"loss": [0.5, math.nan]})
    assert storage.read_json(path) == {"loss": [0.5]}
    with pytest.raises(ValueError, match="string keys"):
        storage.write_json(path, {1: 2})


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "\x80", "[" * 100_000])
def test_what_is_not_strict_json_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"broken\.json"):
        storage.read_json(path)


def test_missing_and_unwritable_paths_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.json.*No such file"):
        storage.read_json(tmp_path / "absent.json")
    with pytest.raises(UserError, match=r"absent\.bin"):
        storage.sha256(tmp_path / "absent.bin")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        storage.write_bytes(tmp_path / "file" / "below.txt", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="Cannot write"):
        storage.write_bytes(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"], "a failed write leaves no orphan"


def test_a_full_disk_leaves_the_old_content_and_no_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data"
    storage.write_bytes(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        storage.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_parents_are_made_and_the_sum_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "data"
    storage.write_bytes(path, b"abc")
    assert storage.sha256(path) == hashlib.sha256(b"abc").hexdigest()
    assert storage.sha256(path).startswith("ba7816bf8f01cfea")


def test_files_get_the_mode_that_the_user_asked_for(tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_everything_reaches_the_disk_before_the_new_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), real_fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), real_replace(a, b))[1])
    storage.write_bytes(tmp_path / "data", b"x")
    assert calls == ["fsync", "rename", "fsync"]


def test_sweep_removes_orphans_and_keeps_files_and_living_writers(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = int(child.stdout)
    for name in (f".tmp-{dead}-abc", ".tmp-garbage", f".tmp-{os.getpid()}-old", f".tmp-{os.getppid()}-alive", "kept"):
        (tmp_path / name).write_text("")
    (tmp_path / f".tmp-{dead}-folder").mkdir()
    (tmp_path / f".tmp-{dead}-folder" / "weights").write_text("")
    assert storage.sweep(tmp_path) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".tmp-{os.getppid()}-alive", "kept"]
    assert storage.sweep(tmp_path / "absent") == 0


WRITER = """
import sys
from pathlib import Path
from envs import storage
path = Path(sys.argv[1])
print("ready", flush=True)
for number in range(10**9):
    storage.write_json(path, {"number": number, "text": str(number % 10) * 20_000})
"""


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.05])
def test_killed_at_any_moment_the_file_is_whole(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "record.json"
    storage.write_json(path, {"number": -1, "text": ""})
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    record = storage.read_json(path)
    assert record["number"] == -1 or record["text"] == str(record["number"] % 10) * 20_000
    storage.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def make_folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "content").write_text(content)
    return path


def test_replacing_a_folder_keeps_what_it_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    for content in ("one", "two", "three"):
        storage.replace_folder(make_folder(storage.temporary_path(tmp_path), content), folder)
    assert (folder / "content").read_text() == "three"
    assert (storage.previous_folder(folder) / "content").read_text() == "two"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("failing", [1, 2])
def test_stopped_between_the_renames_the_old_folder_is_whole_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    folder = make_folder(tmp_path / "state", "old")
    calls, real = [], os.rename

    def rename(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(UserError, match="Input/output error"):
        storage.replace_folder(make_folder(storage.temporary_path(tmp_path), "new"), folder)
    kept = folder if folder.exists() else storage.previous_folder(folder)
    assert (kept / "content").read_text() == "old"


def test_the_written_json_is_readable_text(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "a.json", {"name": "γ", "value": 0.1})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert text == '{\n "name": "γ",\n "value": 0.1\n}\n'
    assert json.loads(text) == {"name": "γ", "value": 0.1}
