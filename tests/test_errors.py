"""Bad input through the command line: one line that names it, exit code 2, nothing trained and nothing lost."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import pytest
import torch

from agents.checkpoint import load_agent, save_agent
from analysis import progress
from analysis.cli import main
from envs.errors import nearest
from envs.storage import sha256

ROOT = Path(__file__).parent.parent
VALUELAB = [sys.executable, "-c", "from analysis.cli import main; main()"]
TINY = [
    "--imitation.num-updates", "5", "--imitation.batch-size", "32", "--num-demonstrations", "10",
    "--reinforce.num-steps", "64", "--reinforce.num-envs", "4", "--reinforce.rollout-length", "8",
    "--value.num-updates", "5", "--value.num-episodes", "10", "--episodes", "8",
]  # fmt: skip
WORLD = ["train", "ValueLab/MultiNeed-v0", "--option", "size=3", "--option", "num_objects=2"]
FOREIGN_ENVS = '''
import gymnasium
import numpy as np
from gymnasium import spaces


class Walk(gymnasium.Env):
    """Step right three times; what goes wrong, and when, is up to the options."""

    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(0.0, 1.0, (3,), np.float32)

    def __init__(self, fault="none", after=20):
        self.fault, self.after, self.steps, self.place = fault, after, 0, 0
        if fault == "continuous":
            self.action_space = spaces.Box(-1.0, 1.0, (2,))
        if fault == "text":
            self.observation_space = spaces.Text(5)
        if fault == "graph":
            self.observation_space = spaces.Graph(spaces.Discrete(2), None)

    def seen(self):
        seen = np.zeros(3, np.float32)
        seen[self.place] = np.nan if self.fault == "nan observation" and self.steps > self.after else 1.0
        return seen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self.seen(), {}

    def step(self, action):
        self.steps += 1
        self.place += int(action)
        ended, reward = self.place == 3, float(self.place == 3)
        self.place = min(self.place, 2)
        if self.steps > self.after:
            if self.fault == "interrupt":
                raise KeyboardInterrupt
            if self.fault == "crash":
                raise RuntimeError("the env fell over")
            reward = {"nan": np.nan, "inf": np.inf}.get(self.fault, reward)
        return self.seen(), reward, ended, False, {}


gymnasium.register("Walk-v0", Walk, max_episode_steps=12)
'''


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "walk_envs.py").write_text(FOREIGN_ENVS)
    (folder / "broken_envs.py").write_text("raise ValueError('not today,\\nnor tomorrow')")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.raises(SystemExit) as stop:
        main([*WORLD, *TINY, "--out", str(folder)])
    assert stop.value.code == 0
    return folder


@pytest.fixture
def run_copy(trained: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    for path in trained.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(trained)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return copy


@pytest.fixture(autouse=True)
def elsewhere(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(foreign)
    # A slow machine shows progress where a fast one does not.
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", math.inf)


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


class Refusal:
    """Runs a command that must be refused with one line."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: str, names: list[str]) -> str:
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        err = self.capsys.readouterr().err
        lines = [line for line in err.splitlines() if line.startswith("valuelab: ")]
        assert stop.value.code == 2, err
        assert len(lines) == 1 and err.endswith(lines[0] + "\n"), err
        assert "Traceback" not in err
        for name in names:
            assert name in lines[0], lines[0]
        return lines[0]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], trained: Path) -> Refusal:
    capsys.readouterr()
    return Refusal(capsys)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["train", "ValueLab/MultiNed-v0"], ["'ValueLab/MultiNed-v0'", "Did you mean 'ValueLab/MultiNeed-v0'?"]),
        (["train", "MiniGrid-Empty-9x9-v0"], ["'MiniGrid-Empty-9x9-v0'", "Did you mean 'MiniGrid-Empty-"]),
        (["train", "minigrid:MiniGrid-Empty-8x8-v0"], ["names a module", "--import"]),
        ([*WORLD, "--value-head", "MONOO"], ["'MONOO'", "MOE", "ROUTE", "Did you mean 'MONO'?"]),
        ([*WORLD, "--encoder", "cnov"], ["'cnov'", "mlp", "gru", "Did you mean 'conv'?"]),
        ([*WORLD, "--option", "contxt=hidden"], ["'contxt'", "drift", "Did you mean 'context'?"]),
        ([*WORLD, "--option", "context=hiden"], ["'hiden'", "'shown'", "Did you mean 'hidden'?"]),
        ([*WORLD, "--option", "drift=2"], ["drift", "2", "from 0 to 1"]),
        ([*WORLD, "--option", "time_limit=long"], ["time_limit", "'long'", "integer"]),
        ([*WORLD, "--option", "time_limit"], ["'time_limit'", "NAME=VALUE"]),
        ([*WORLD, "--option", "drift=0", "--option", "drift=1"], ["'drift'", "twice"]),
        ([*WORLD, "--seed", "-1"], ["seed", "-1", "from 0"]),
        ([*WORLD, "--num-demonstrations", "0"], ["num_demonstrations", "0", "from 1"]),
        ([*WORLD, "--value-head", "ROUTE", "--value-encoder", "shard"], ["'shard'", "shared"]),
        ([*WORLD, "--route-encoder", "global"], ["--route-encoder", "'MONO'", "--value-head MONO-ROUTE, ROUTE"]),
        ([*WORLD, "--demonstrations", "none.npz"], ["none.npz"]),
        ([*WORLD, "--import", "no_such_package"], ["'no_such_package'", "--import"]),
        ([*WORLD, "--import", "broken_envs"], ["'broken_envs'", "ValueError: not today, nor tomorrow"]),
        (["train", "Pendulum-v1"], ["Box", "Discrete"]),
        (["train", "FrozenLake-v1", "--option", "slippery=0"], ["FrozenLake-v1", "slippery"]),
        (["train", "MiniGrid-Empty-8x8-v0", "--option", "size=2"], ["{'size': 2}", "assert width >= 3"]),
        (["train", "MiniGrid-Empty-8x8-v0", "--option", "agent_view_size=4"], ["agent_view_size", "% 2 == 1"]),
        (["train", "FrozenLake-v1", "--option", "map_name=9x9"], ["map_name", "KeyError: '9x9'"]),
        (["train", "FrozenLake-v1", "--option", "desc=3"], ["{'desc': 3}", "ValueError: not enough values"]),
        (["train", "Walk-v0", "--import", "walk_envs", "--option", "fault=continuous"], ["Box", "Discrete"]),
        (["train", "Walk-v0", "--import", "walk_envs", "--option", "fault=text"], ["Text", "Box or Discrete"]),
        (["train", "Walk-v0", "--import", "walk_envs", "--option", "fault=graph"], ["Graph"]),
        (["train", "Walk-v0", "--import", "walk_envs", "--value-head", "ROUTE"], ["ROUTE", "event"]),
        (["compare", "--arms", "MONO", "MEO"], ["'MEO'", "ROUTE-RAND", "Did you mean 'MOE'?"]),
        (["compare", "--arms", "MONO", "MONO"], ["MONO", "once"]),
        (["compare", "--tests", "T44"], ["'T44'", "CrossedHistory"]),
        (["compare", "--seeds", "1"], ["seeds", "1", "at least 2"]),
        (["compare", "--workers", "-1"], ["--workers", "-1", "from 0"]),
        (["compare", "--preregistration", "none.json"], ["none.json", "valuelab preregister"]),
        (["compare", "--preregistration", "walk_envs.py"], ["walk_envs.py", "not valid JSON"]),
        (["preregister", "walk_envs.py/plan.json"], ["walk_envs.py"]),
        (["evaluate", "no_such_run"], ["'no_such_run'", "valuelab train"]),
        (["probe", "."], ["manifest.json"]),
        (["demo", "--seed", "-1"], ["seed", "-1", "from 0"]),
        (["demo", "--out", "walk_envs.py/below"], ["Cannot write into 'walk_envs.py/below'", "choose a folder"]),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    words: list[str], names: list[str], refused: Refusal, foreign: Path, tmp_path: Path
) -> None:
    before, out = content(foreign), tmp_path / "out"
    start = time.process_time()
    refused(*words, *(["--out", str(out)] if words[0] == "train" else []), names=names)
    assert time.process_time() - start < 3.0
    assert not out.exists()
    assert {name: digest for name, digest in content(foreign).items() if "__pycache__" not in name} == {
        name: digest for name, digest in before.items() if "__pycache__" not in name
    }


@pytest.mark.parametrize("command", ["train", "probe", "compare"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(
    command: str, refused: Refusal, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("precious")
    words = {"train": WORLD, "probe": ["probe", str(trained)], "compare": ["compare"]}[command]
    refused(*words, "--out", str(tmp_path / "file" / "below"), names=["file/below"])
    assert (tmp_path / "file").read_text() == "precious"


def test_a_device_that_is_not_there_is_refused(refused: Refusal) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    refused(*WORLD, "--device", "cuda", names=["'cuda'", "--device cpu"])


def test_a_hint_is_the_known_name_whatever_the_capitals() -> None:
    assert nearest("TRAID", ["Triad-G", "TRIAD", "Triad"]) == " Did you mean 'TRIAD'?"
    assert nearest("xyz", ["TRIAD"]) == ""


def test_a_run_is_never_trained_over(refused: Refusal, trained: Path) -> None:
    before = content(trained)
    refused(*WORLD, *TINY, "--out", str(trained), names=[trained.name, "--out"])
    assert content(trained) == before


@pytest.mark.parametrize("command", ["evaluate", "probe"])
@pytest.mark.parametrize("fault", ["truncated", "altered", "manifest", "missing", "not json"])
def test_a_damaged_checkpoint_is_refused_by_name(command: str, fault: str, run_copy: Path, refused: Refusal) -> None:
    checkpoint = run_copy / "checkpoint"
    path = checkpoint / {"manifest": "manifest.json", "not json": "agent.json"}.get(fault, "weights.safetensors")
    data = path.read_bytes()
    if fault == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        altered = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"truncated": data[:-9], "not json": b"{"}.get(fault, altered))
    before = content(run_copy)
    line = refused(command, str(run_copy), names=[path.name])
    # The one before it is of an earlier stage: it is named, and never used instead.
    assert "checkpoint.previous" in line
    assert content(run_copy) == before


def test_a_checkpoint_of_another_kind_of_thing_is_refused(run_copy: Path, refused: Refusal) -> None:
    refused("evaluate", str(run_copy / "checkpoint" / "agent.json"), names=["agent.json", "no run folder"])


def test_an_agent_of_no_known_env_is_refused(trained: Path, refused: Refusal, tmp_path: Path) -> None:
    agent, _ = load_agent(trained / "checkpoint")
    save_agent(tmp_path / "agent", agent)
    refused("probe", str(tmp_path / "agent"), names=["agent", 'extra={"env_id": ...}'])
    save_agent(tmp_path / "agent", agent, extra={"env_id": "walk_envs:Walk-v0"})
    refused("evaluate", str(tmp_path / "agent"), names=["walk_envs:Walk-v0", "names a module"])


def test_v1_is_refused_by_name_without_a_kernel(foreign: Path, refused: Refusal, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    with pytest.raises(SystemExit) as stop:
        main(["train", "Walk-v0", "--import", "walk_envs", *TINY, "--out", run])
    assert stop.value.code == 0
    refused("evaluate", run, "--actor", "V1", "--import", "walk_envs", names=["'V1'", "Walk-v0", "'D'"])
    refused("evaluate", run, "--episodes", "0", "--import", "walk_envs", names=["--episodes", "0", "from 1"])


@pytest.mark.parametrize("fault", ["nan", "inf", "nan observation"])
def test_what_is_not_finite_stops_the_run_and_names_the_place(fault: str, refused: Refusal, tmp_path: Path) -> None:
    words = ["--import", "walk_envs", "--option", f"fault={fault}", "--option", "after=40", "--stages", "reinforce"]
    what = "observation" if "observation" in fault else "reward"
    line = refused("train", "Walk-v0", *words, *TINY, "--out", str(tmp_path / "run"), names=["Walk-v0", what, "finite"])
    assert "env" in line and "step" in line
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_an_interruption_says_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--import", "walk_envs", "--option", "fault=interrupt", "--stages", "reinforce"]
    with pytest.raises(SystemExit) as stop:
        main(["train", "Walk-v0", *words, *TINY, "--out", str(tmp_path / "run")])
    err = capsys.readouterr().err
    assert stop.value.code == 130
    assert err.startswith("valuelab: interrupted; ") and err.count("\n") == 1 and "kept" in err


def test_an_env_that_cannot_begin_keeps_its_traceback_unless_options_are_to_blame(
    refused: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(gymnasium.Env):  # type: ignore[type-arg]
        observation_space = action_space = gymnasium.spaces.Discrete(2)

        def __init__(self, level: int = 1) -> None: ...

        def reset(self, **_: object) -> object:
            raise RuntimeError("no level is left")

    monkeypatch.setitem(gymnasium.registry, "Stuck-v0", gymnasium.envs.registration.EnvSpec("Stuck-v0", Stuck))
    refused("train", "Stuck-v0", "--option", "level=3", names=["{'level': 3}", "RuntimeError: no level is left"])
    with pytest.raises(RuntimeError, match="no level is left"):
        main(["train", "Stuck-v0"])


def test_a_fault_of_an_env_keeps_its_traceback(tmp_path: Path) -> None:
    words = ["--import", "walk_envs", "--option", "fault=crash", "--stages", "reinforce"]
    with pytest.raises(RuntimeError, match="the env fell over"):
        main(["train", "Walk-v0", *words, *TINY, "--out", str(tmp_path / "run")])


def test_what_a_crash_leaves_is_whole(tmp_path: Path, refused: Refusal) -> None:
    """The agent of the last finished stage can be played, and the folder is not trained over."""
    run = str(tmp_path / "run")
    words = ["train", "Walk-v0", "--import", "walk_envs", *TINY, "--out", run]
    with pytest.raises(RuntimeError, match="fell over"):
        main([*words, "--reinforce.num-steps", "400", "--option", "fault=crash", "--option", "after=70"])
    before = content(tmp_path / "run")
    assert "checkpoint/manifest.json" in before and "metrics.json" not in before
    refused(*words, names=["--out"])
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", run, "--import", "walk_envs", "--episodes", "4"])
    assert stop.value.code == 0
    assert content(tmp_path / "run") == before


def test_the_real_process_ends_with_one_line_and_code_2(foreign: Path) -> None:
    run = subprocess.run(
        [*VALUELAB, "evaluate", "nowhere"], capture_output=True, text=True, cwd=foreign, env=environment()
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "valuelab: There is no run folder 'nowhere'; `valuelab train` writes one, and says where.\n"


@pytest.mark.slow
def test_a_real_interruption_keeps_finished_cells(tmp_path: Path) -> None:
    command = [*VALUELAB, "compare", "--seeds", "2", "--tests", "CrossedHistory", "--out", "c"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("c/cells/*.jsonl")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("valuelab: interrupted; ") and "goes on from there" in err
    assert "Traceback" not in err


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_the_foreign_envs_work_without_a_fault(foreign: Path) -> None:
    """The controls of this file: nothing above is refused for another reason."""
    with pytest.raises(SystemExit) as stop:
        main(["train", "Walk-v0", "--import", "walk_envs", *TINY, "--out", str(foreign / "control")])
    assert stop.value.code == 0
