"""`valuelab train` on SIGINT and SIGTERM: it saves, says how to go on, and ends with a documented code."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from interrupted_runs import at_update, files_of

from agents import learner, run_stages
from agents.agent import AlphaAgent
from agents.checkpoint import load_with_state
from agents.config import TrainConfig
from agents.run_folder import RunSettings, require_same
from analysis import progress
from analysis.cli import main
from analysis.commands import stopping
from envs.errors import UserError
from envs.storage import read_json

WORDS = [
    "train", "ValueLab/MultiNeed-v0", "--option", "size=4", "--option", "num_objects=2", "--option", "num_levels=8",
    "--imitation.num-updates", "30", "--imitation.batch-size", "64", "--num-demonstrations", "20",
    "--reinforce.num-steps", "512", "--reinforce.num-envs", "8", "--reinforce.rollout-length", "16",
    "--value.num-updates", "20", "--value.num-episodes", "20", "--episodes", "4", "--checkpoint-every", "8",
    "--seed", "3",
]  # fmt: skip


class Ran:
    """A command that was run: its exit code, and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys, self.out, self.err = capsys, "", ""

    def __call__(self, *words: object) -> int:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        self.out, self.err = self.capsys.readouterr()
        return int(stop.value.code or 0)


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 1e9)
    return Ran(capsys)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("straight") / "run"
    with pytest.raises(SystemExit) as stop:
        main([*WORDS, "--out", str(folder)])
    assert not stop.value.code
    return files_of(folder)


@pytest.mark.parametrize(
    ("stage", "number", "code"),
    [("imitate", signal.SIGINT, 130), ("reinforce", signal.SIGTERM, 143), ("value", signal.SIGTERM, 143)],
)
def test_it_saves_and_the_command_that_it_names_goes_on(
    stage: str, number: signal.Signals, code: int, straight: dict[str, bytes], ran: Ran, tmp_path: Path
) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    with at_update(stage, 11, lambda keeper: signal.raise_signal(number)):
        assert ran(*WORDS, "--out", "run") == code
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    said = rf"valuelab: stopped by {number.name}: saved in stage {stage} after (\d+) gradient steps\. To go on: (.*)\n"
    found = re.fullmatch(said, ran.err)
    assert found is not None
    _, facts, _ = load_with_state(tmp_path / "run" / "last")
    assert facts["num_steps"] == int(found[1])
    assert found[2] == "valuelab train ValueLab/MultiNeed-v0 --out run --resume"
    # While no stage has ended there is no agent; later there is one, and what it is of is said.
    assert ran("evaluate", "run", "--episodes", "4") == (2 if stage == "imitate" else 0)
    assert "unfinished" in ran.err + ran.out and found[2] in ran.err + ran.out
    assert ran(*shlex.split(found[2])[1:]) == 0
    assert f"Going on in stage {stage} after {found[1]} gradient steps." in ran.err
    left = files_of(tmp_path / "run")
    assert {name: left[name] for name in straight} == straight


def test_other_settings_are_refused_by_name_and_equal_ones_are_not(
    straight: dict[str, bytes], ran: Ran, tmp_path: Path
) -> None:
    with at_update("value", 11, lambda keeper: signal.raise_signal(signal.SIGTERM)):
        assert ran(*WORDS, "--out", "run") == 143
    bare = ["train", "ValueLab/MultiNeed-v0", "--out", "run", "--resume"]
    for words, part in (
        (["--seed", "4"], "has seed = 3, not 4"),
        # What a command would do without the option is asked for as much as anything else.
        (["--seed", "0"], "has seed = 3, not 0"),
        (["--episodes", "256"], "has num_evaluation_episodes = 4, not 256"),
        (["--value.num-updates", "30000"], "has value.num_updates = 20, not 30000"),
        (["--value.num-updates", "21"], "has value.num_updates = 20, not 21"),
        (["--option", "size=5"], "has options.size = 4, not 5"),
        (["--encoder", "gru"], "has agent.encoder = 'mlp', not 'gru'"),
    ):
        assert ran(*bare, *words) == 2
        assert part in ran.err and "leave that out" in ran.err and ran.err.count("\n") == 1
    assert ran("train", "CartPole-v1", "--out", "run", "--resume") == 2
    assert "has env_id = 'ValueLab/MultiNeed-v0', not 'CartPole-v1'" in ran.err
    assert ran(*WORDS, "--out", "run") == 2
    assert "holds a run already; resume it (--resume)" in ran.err
    assert ran(*WORDS, "--out", "run", "--resume") == 0
    left = files_of(tmp_path / "run")
    assert {name: left[name] for name in straight} == straight
    assert ran(*bare) == 0
    assert "is finished; nothing is left to resume" in ran.out and "valuelab evaluate run" in ran.out
    assert files_of(tmp_path / "run") == left


def test_resuming_where_there_is_no_run_begins_one(ran: Ran, tmp_path: Path) -> None:
    assert ran(*WORDS, "--out", "run", "--stages", "imitate", "--resume") == 0
    assert "There is no run in run yet; this one begins there." in ran.out
    assert read_json(tmp_path / "run" / "config.json")["settings"]["seed"] == 3


@pytest.mark.parametrize("name", ["find_demonstrations", "record_episodes"])
def test_stopped_while_it_looks_for_an_expert_or_records_it_ends_at_once(
    name: str, straight: dict[str, bytes], ran: Ran, tmp_path: Path
) -> None:
    def interrupted(*arguments: Any, **named: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_stages, name, interrupted)
        assert ran(*WORDS, "--out", "run") == 143
    was_new = name == "find_demonstrations"
    assert ("nothing had been learned yet" if was_new else "the last checkpoint stands") in ran.err
    assert (tmp_path / "run").exists() != was_new
    assert ran(*WORDS, "--out", "run", "--resume") == 0
    left = files_of(tmp_path / "run")
    assert {file: left[file] for file in straight} == straight


@pytest.mark.parametrize("how", ["an update that takes long", "a second signal"])
def test_it_does_not_wait_for_ever(how: str, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect = learner.collect
    calls: list[int] = []

    def slow(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGTERM)
            if how == "a second signal":
                signal.raise_signal(signal.SIGINT)
            time.sleep(20)
        return collect(*arguments, **named)

    monkeypatch.setattr(learner, "collect", slow)
    if how != "a second signal":
        monkeypatch.setattr(stopping, "PATIENCE_SECONDS", 0.3)
    start = time.monotonic()
    assert ran(*WORDS, "--out", "run") == 143
    assert time.monotonic() - start < 15
    assert "stopped by SIGTERM: the last checkpoint stands." in ran.err
    agent, facts, _ = load_with_state(tmp_path / "run" / "checkpoint")
    assert isinstance(agent, AlphaAgent) and facts["stage"] == "imitate"


def test_tensorboard_that_is_not_installed_is_named_before_anything_is_written(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert ran(*WORDS, "--out", "run", "--tensorboard") == 2
    assert "needs the extra `tensorboard`; install it with pip install 'valuelab[tensorboard]'" in ran.err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("delay", [0.0, 0.4, 1.0, 2.0])
def test_a_process_that_is_signalled_ends_within_ten_seconds(
    number: signal.Signals, code: int, delay: float, straight: dict[str, bytes], tmp_path: Path
) -> None:
    def begun(*words: str) -> subprocess.Popen[str]:
        script = "import sys; from analysis.cli import main; main(sys.argv[1:])"
        call = [sys.executable, "-c", script, *WORDS, "--out", str(tmp_path / "run"), *words]
        return subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})

    process = begun()
    while not (tmp_path / "run" / "config.json").exists():
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(number)
    start = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - start < 10
    # A signal may come when the run is finished, and the process is about to end.
    if not (tmp_path / "run" / "metrics.json").exists():
        assert process.returncode == code
        assert f"stopped by {number.name}" in err
        process = begun("--resume")
        process.communicate(timeout=120)
        assert process.returncode == 0
    left = files_of(tmp_path / "run")
    assert {name: left[name] for name in straight} == straight


def test_a_long_setting_is_shown_where_it_differs(tmp_path: Path) -> None:
    start = "horizon = 4 # " + "word " * 200
    wanted = RunSettings("ValueLab/Case-v0", {"content": start + "old" + "more " * 50}, TrainConfig())
    (tmp_path / "config.json").write_text(json.dumps(wanted.to_dict()))
    changed = RunSettings(wanted.env_id, {"content": start + "new" + "more " * 50}, TrainConfig())
    with pytest.raises(UserError, match=r"content = …'.*word oldmore .*', not …'.*word newmore ") as caught:
        require_same(tmp_path, changed)
    assert len(str(caught.value)) < 700
