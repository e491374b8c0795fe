"""Every example runs, with sizes made tiny, and leaves what it says."""

from __future__ import annotations

import dataclasses
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.checkpoint import load_agent
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, TrainConfig, ValueConfig
from analysis.cli import main as command
from analysis.instruments.probes import ProbeSettings
from analysis.probe import Settings
from analysis.probing.collecting import Collection
from analysis.studies.plan import make_plan
from analysis.studies.yoked import Setup

EXAMPLES = Path(__file__).parent.parent / "examples"
SMALL_RUN = TrainConfig(
    agent=AgentConfig(encoder_sizes=(16,), hidden_size=16),
    imitation=ImitationConfig(num_updates=30), reinforce=ReinforceConfig(num_steps=2048, num_epochs=1),
    value=ValueConfig(num_updates=30, num_episodes=64), num_demonstrations=64, num_evaluation_episodes=16,
)  # fmt: skip
SMALL_PROBE = Settings(
    seed=1000, num_rows=300, collection=Collection(num_episodes=40, num_levels=4),
    probe=ProbeSettings(num_folds=3, num_inner_folds=2, penalties=(1.0,), num_resamples=100),
)  # fmt: skip
SMALL_SETUP = Setup(
    num_demonstrations=60, imitation_updates=20, reinforce_steps=0, num_episodes=120, encoder_sizes=(16, 16),
    hidden_size=48, value_updates=20, batch_size=32, num_checked_levels=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def main_of(name: str) -> Callable[..., Any]:
    """The `main` of an example; its file is not run as a script."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_every_example_is_tested_here() -> None:
    here = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f'main_of("{path.stem}")' in here, f"{path.name} has no test"


def test_train_and_probe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = main_of("train_and_probe")(tmp_path / "run", SMALL_RUN, SMALL_PROBE, names=["readability", "context"])
    assert [reading.status for reading in report.readings] == ["measured", "measured"]
    for name in ("config.json", "curve.jsonl", "metrics.json", "checkpoint/manifest.json", "probe/probe.md"):
        assert (tmp_path / "run" / name).is_file(), name
    printed = capsys.readouterr().out
    assert "D on test levels" in printed and "V1 on train levels" in printed and "does not show shards" in printed


def test_compare_value_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan(
        "quick", arms=("MONO", "ROUTE"), tests=("CrossedHistory",), num_seeds=2, setups={"CrossedHistory": SMALL_SETUP}
    )
    result = main_of("compare_value_heads")(tmp_path, plan, workers=0)
    assert result.study.exit_code == 0 and result.deviations == ()
    printed = capsys.readouterr().out
    assert "ROUTE [" in printed and "The plan was frozen beforehand" in printed and "2 seeds are too few" in printed


def test_fit_your_own_value(tmp_path: Path) -> None:
    answer = main_of("fit_your_own_value")(tmp_path, num_episodes=4000, num_updates=500)
    assert 0.85 < answer.slope_matched < 1.15, "a V that fits has a slope of about 1 on trained pairings"


def test_with_stable_baselines3(tmp_path: Path) -> None:
    main_of("with_stable_baselines3")(tmp_path, num_steps=1)
    agent, facts = load_agent(tmp_path / "checkpoint")
    assert agent.config.head == "MOE" and agent.shared and facts["env_id"] == "ValueLab/CrossedHistory-v0"


def test_search_with_stable_baselines3() -> None:
    found = main_of("search_with_stable_baselines3")(num_steps=8 * 128, num_episodes=16)
    assert found[32] > found[0] + 0.1, "a hardly trained prior is far better with the world's own rewards in a tree"


def test_how_much_a_search_improves_is_what_the_page_says() -> None:
    """Numbers may differ in their last digit, since exp differs between machines."""
    page = (EXAMPLES.parent / "docs" / "search.md").read_text()
    lines = main_of("how_much_a_search_improves")().splitlines()
    assert len(lines) == 18 and all(line in page for line in lines[:2])
    for line in lines[2:]:
        start = line[: line.index("%")].rsplit("|", 1)[0]
        (shown,) = (one for one in page.splitlines() if one.startswith(start))
        numbers = [[float(number) for number in re.findall(r"[+-]?\d+\.\d+", text)] for text in (line, shown)]
        assert len(numbers[0]) >= 12 and numbers[0] == pytest.approx(numbers[1], abs=0.02, rel=0.003)


def test_explain_a_search(tmp_path: Path) -> None:
    text = main_of("explain_a_search")(tmp_path)
    assert "24 simulations, chooses right" in text and (tmp_path / "search_tree.png").stat().st_size > 10_000


def test_retarget_a_maze(tmp_path: Path) -> None:
    config = dataclasses.replace(
        SMALL_RUN, agent=AgentConfig(encoder="conv", conv_channels=(2,), encoder_sizes=(8,), hidden_size=8),
        stages=("imitate", "value"),
    )  # fmt: skip
    means = main_of("retarget_a_maze")(tmp_path, config)
    assert len(means) == 10 and all(0.0 <= mean <= 1.0 for mean in means.values())
    drawn = {f"{figure}_{actor}.png" for figure in ("retargeting", "vector_field") for actor in ("D", "V1")}
    assert drawn == {path.name for path in tmp_path.glob("*.png")}


def test_an_example_does_not_hide_a_package_that_it_imports() -> None:
    """A script's own folder comes first on its path, so `examples/torch.py` would be imported instead of torch."""
    names = [path.stem for path in EXAMPLES.glob("*.py")]
    code = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=EXAMPLES.parent)
    assert found.stdout.strip() == "[]"


def test_my_monitor() -> None:
    """The example sees agents of the sealed zoo, and tells those that manipulate from the others; then planted ones."""
    agents, served, plants = (part.splitlines() for part in main_of("my_monitor")().split("\n\n"))
    assert (len(agents), len(served), len(plants)) == (4, 4, 4)
    cells = [line.split("|") for line in agents[2:]]
    auroc = {cell[2].strip(): float(cell[3].split()[0]) for cell in cells}
    assert set(auroc) == {"manipulates", "locks in"} and auroc["manipulates"] > 0.6


def test_niceness_with_other_learners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cards = main_of("niceness_with_other_learners")(tmp_path, dqn_steps=8, ppo_steps=1)
    assert cards["tabular Q"]["regrets"]["RT"] == 0.0 and cards["tabular Q"]["mi"] > 0.5
    assert "tabular Q: MI 0." in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        command(["niceness", "scorecard", str(tmp_path), "--option", "kappa=1"])
    assert not stop.value.code and "TRIAD from A, kappa 1 (trained with 0.5)" in capsys.readouterr().out
