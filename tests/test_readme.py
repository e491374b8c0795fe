"""README and docs: every block runs or stands in an example, every command parses, every link and file name exists."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, TrainConfig, ValueConfig
from agents.train import train
from analysis.arms import ARMS, CONTRASTS
from analysis.cli import commands, parse
from analysis.predictions.crossed_history import MARGIN_AGAINST_ZERO
from analysis.predictions.locality import MAX_STEPS
from analysis.studies.comparison import PRESETS, SETUPS, TESTS, make_plan, run_comparison
from analysis.studies.comparison_words import SCOPE
from analysis.studies.contest_cells import PLANTS
from analysis.studies.yoked import NUM_LEVELS, Setup
from analysis.verdicts import MIN_SEEDS
from envs.demonstrations import demonstrate
from envs.episodes import save_episodes
from envs.registry import WORLDS, make_world, register_worlds
from envs.rows import Levels
from envs.tabular import enumerate_world, value_iteration

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text() for page in PAGES}
EXAMPLES = [path.read_text() for path in sorted((ROOT / "examples").glob("*.py"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.])/(work|home|tmp|root|Users|opt|mnt)/",
    "a package registry": r"https?://\S*(pypi|pythonhosted|pytorch|conda|npmjs)|\b(pypi|pytorch|anaconda)\.org",
}
TINY_RUN = TrainConfig(
    agent=AgentConfig(encoder_sizes=(16,), hidden_size=16),
    imitation=ImitationConfig(num_updates=20), reinforce=ReinforceConfig(num_steps=2048, num_epochs=1),
    value=ValueConfig(num_updates=20, num_episodes=32), num_demonstrations=32, num_evaluation_episodes=8,
)  # fmt: skip
TINY_SETUP = Setup(
    num_demonstrations=60, imitation_updates=20, reinforce_steps=0, num_episodes=120, encoder_sizes=(16, 16),
    hidden_size=48, value_updates=20, batch_size=32, num_checked_levels=2,
)  # fmt: skip


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every fenced block in a language."""
    return [(name, body) for name, text in TEXTS.items() for kind, body in FENCE.findall(text) if kind == language]


def spans(name: str) -> list[str]:
    """What stands in back quotes on a page, outside of blocks."""
    return SPAN.findall(FENCE.sub("", TEXTS[name]))


def written_commands() -> list[tuple[str, str]]:
    """(page, words) of every `valuelab ...` that a page shows, in blocks of shell and in back quotes."""
    lines = [(name, line.removeprefix("$ ")) for name, body in blocks("sh") for line in body.splitlines()]
    lines += [(name, span) for name in TEXTS for span in spans(name)]
    found = [(name, re.split(r"\s+[#|>]", line)[0].removeprefix(".venv/bin/")) for name, line in lines]
    return [(name, line) for name, line in found if line.startswith("valuelab ")]


@pytest.fixture(scope="module")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small run, a small study and recorded episodes, under the names that the pages use."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("user")
    train("ValueLab/MultiNeed-v0", TINY_RUN, folder / "runs" / "my-run")
    plan = make_plan(
        "quick", arms=("MONO",), tests=("CrossedHistory",), num_seeds=2, setups={"CrossedHistory": TINY_SETUP}
    )
    run_comparison(plan, folder / "runs" / "study", workers=0)
    world = make_world("CrossedHistory", num_levels=100)
    save_episodes(
        folder / "runs" / "episodes.npz", demonstrate(world, world.levels("train"), num_episodes=50, seed=0)
    )
    return folder


def is_module(block: str) -> bool:
    """Whether a block is a file of its own: a world, which must be imported."""
    return block.startswith('"""')


RUNNABLE = [(name, body) for name, body in blocks("python") if not is_module(body)]


@pytest.mark.parametrize(("page", "block"), RUNNABLE, ids=[f"{n}-{i}" for i, (n, _) in enumerate(RUNNABLE)])
def test_a_python_block_runs_or_stands_in_an_example(
    page: str, block: str, user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any(block in example for example in EXAMPLES):
        return
    monkeypatch.chdir(user_folder)
    exec(compile(block, f"{page}, python block", "exec"), {})


def test_files_are_as_the_page_says(user_folder: Path) -> None:
    """docs/files.md names every file that a run and a study leave, every array, column and cell function."""
    text = TEXTS["files.md"]
    run, study = user_folder / "runs" / "my-run", user_folder / "runs" / "study"
    names = {path.name for folder in (run, run / "checkpoint", study) for path in folder.iterdir()}
    assert not [name for name in names if name not in text]
    with np.load(user_folder / "runs" / "episodes.npz") as file:
        assert not [name for name in file.files if f"`{name}`" not in text]
    metrics = json.loads((run / "metrics.json").read_text())
    assert not [key for key in metrics if f"`{key}`" not in text]
    functions = {json.loads(path.open().readline())["function"] for path in (study / "cells").iterdir()}
    assert functions and not [name for name in functions if f"`{name}`" not in text]
    assert not list((study / "work").iterdir())


@pytest.fixture
def corridor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The world of docs/authoring.md as a module, registered."""
    (block,) = [body for name, body in blocks("python") if name == "authoring.md" and is_module(body)]
    path = tmp_path / "corridor.py"
    path.write_text(block)
    spec = importlib.util.spec_from_file_location("corridor", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "corridor", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(WORLDS, "Corridor", module.FAMILY)
    register_worlds()
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_world_of_the_page_works(corridor: ModuleType) -> None:
    try:
        check_env(gymnasium.make("ValueLab/Corridor-v0").unwrapped, skip_render_check=True)
        world = make_world("Corridor", length=5)
        mdp = enumerate_world(world, Levels(0, 50))
        assert mdp.num_states == 6, "three inner cells under two lamps"
        values = value_iteration(mdp).values
        distance = np.where(mdp.rows[:, 1] == 1, 4 - mdp.rows[:, 0], mdp.rows[:, 0])
        np.testing.assert_allclose(values, 0.95 ** (distance - 1))
    finally:
        for name in ("Corridor", "Corridor-Short"):
            gymnasium.registry.pop(f"ValueLab/{name}-v0")


def test_the_page_of_the_comparison_agrees_with_the_code() -> None:
    text = TEXTS["comparison.md"]
    sections = {key: key + text.split(f"**{key}")[1].split("\n\n")[0] for key in TESTS}
    for key, test in TESTS.items():
        assert test.family in sections[key]
        assert test.family == "exploratory" or f"margin {test.margin:g}".replace("0.", ".") in sections[key]
        assert test.world.removeprefix("ValueLab/").removesuffix("-v0") in sections[key]
    assert f"margin {MARGIN_AGAINST_ZERO:g}".replace("0.", ".") in sections["CrossedHistory"]
    for arm in ARMS.values():
        assert f"| {arm.name} |" in text
    assert all(f"({plant})" in text for plant in PLANTS)
    assert all(f"{first} − {second}" in text for first, second, _ in CONTRASTS)
    assert f"fewer than {MIN_SEEDS} seeds" in text
    assert f"{NUM_LEVELS:,} levels" in text and f"{MAX_STEPS:,} steps" in text
    assert {f"{setup.num_episodes:,} episodes with {setup.uniform_share:.0%}" for setup in SETUPS.values()} <= {
        found.replace(" %", "%") for found in re.findall(r"[\d,]+ episodes with \d+ %", text)
    }


def test_commands_are_shown() -> None:
    shown = [shlex.split(line)[1:] for name, line in written_commands() if name == "README.md"]
    assert {" ".join(words[:n]) for words in shown for n in (1, 2)} >= set(commands()), "the README shows every command"


@pytest.mark.parametrize(("page", "line"), written_commands())
def test_a_command_parses(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)[1:]
    if len(words) == 1 and words[0] in commands():
        return  # A command's name in a sentence, without what it needs.
    try:
        parse(words)
    except SystemExit as stop:
        assert not stop.code, f"{page}: {line}: {capsys.readouterr().err}"


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    text = "\n".join([*TEXTS.values()])
    named = set(re.findall(r"(?:`|^|\$ )make ([a-z][\w-]*)", text, flags=re.MULTILINE))
    assert named and named <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_file_names_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert not target.startswith("http"), f"{page.name} links to {target}: keep to the repository"
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"
    packages = ("envs", "shards", "agents", "analysis", "examples", "tests", "docs", "benchmarks")
    for span in spans(page.name):
        is_path = re.fullmatch(rf"({'|'.join(packages)})/[\w./-]*", span)
        if is_path and "NAME" not in span:
            assert (ROOT / span).exists(), f"{page.name} names {span}, which does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_dotted_names_exist(page: Path) -> None:
    """`agents.train.train` and the like can be imported."""
    for span in spans(page.name):
        if match := re.match(r"((?:envs|shards|agents|analysis)(?:\.\w+)+)", span):
            module, _, name = match[1].rpartition(".")
            if importlib.util.find_spec(match[1].split(".")[0]) and not _importable(match[1]):
                assert hasattr(importlib.import_module(module), name), f"{page.name} names {span}, which does not exist"


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_machine_or_a_registry(page: Path) -> None:
    for what, pattern in FORBIDDEN.items():
        assert not re.search(pattern, page.read_text()), f"{page.name} names {what}"


def test_the_readme_says_what_it_must() -> None:
    text = TEXTS["README.md"]
    first = text.splitlines()[:60]
    assert any("make demo" in line for line in first) and any("make test" in line for line in first)
    assert " ".join(SCOPE.split()) in " ".join(text.split()), "the scope sentence stands in the README word for word"
    between = text.split("<!-- first:begin -->\n")[1].split("<!-- first:end -->\n")[0]
    assert between.strip(), "the first comparison stands between its markers"
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT"):
        assert name in text
    seeds = {name: preset["num_seeds"] for name, preset in PRESETS.items()}
    assert f"{seeds['quick']} seeds" in text and f"{seeds['first']} seeds" in text
    for example in (ROOT / "examples").glob("*.py"):
        assert f"examples/{example.name}" in text
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in text


@pytest.mark.parametrize(
    ("what", "text"),
    [("a path of one machine", "see /home/me/x"), ("a package registry", "https://download.pytorch.org/whl/cpu")],
)
def test_the_scanner_sees_a_planted_fault(what: str, text: str) -> None:
    assert re.search(FORBIDDEN[what], text)
    assert not re.search(FORBIDDEN[what], "torch's CPU build; runs/home/x")
