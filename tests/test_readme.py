"""README and docs: every block runs or stands in an example, every command parses, every link and file name exists."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import shlex
import sys
import textwrap
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import polars
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from PIL import Image
from reference_models import assert_kernel_agrees

from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, TrainConfig, ValueConfig
from agents.train import train
from analysis.arms import ARMS, CONTRASTS
from analysis.cli import commands, main, parse
from analysis.predictions.crossed_history import MARGIN_AGAINST_ZERO
from analysis.predictions.locality import MAX_STEPS
from analysis.statistics import t_interval
from analysis.studies.comparison import run_comparison
from analysis.studies.comparison_words import SCOPE
from analysis.studies.crossed_plants import PLANTS
from analysis.studies.plan import PRESETS, SETUPS, make_plan
from analysis.studies.tests import TESTS
from analysis.studies.yoked import NUM_LEVELS, Setup
from analysis.verdicts import MIN_SEEDS
from envs.demonstrations import demonstrate
from envs.episodes import save_episodes
from envs.registry import WORLDS, make_world, register_worlds
from envs.render import draw_letters
from envs.rows import FIRST_TEST_LEVEL, Levels, World
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
def page_world(
    pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a world of docs/authoring.md by its name and registers it, until the test ends."""
    known, ids = dict(WORLDS), set(gymnasium.registry)
    # A folder that stays, where pytest keeps one, keeps the compiled kernels, and so seconds of the next run.
    cache = getattr(pytestconfig, "cache", None)
    folder = tmp_path if cache is None else cache.mkdir("worlds")

    def load(name: str) -> ModuleType:
        (block,) = [text for _, text in blocks("python") if text.startswith(f'"""{name}:')]
        path = folder / f"{name.lower()}.py"
        if not path.exists() or path.read_text() != block:
            path.write_text(block)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        WORLDS[name] = module.FAMILY
        register_worlds()
        return module

    yield load
    for name in WORLDS.keys() - known.keys():
        del WORLDS[name]
    for env_id in gymnasium.registry.keys() - ids:
        del gymnasium.registry[env_id]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_world_of_the_page_works(page_world: Callable[[str], ModuleType]) -> None:
    page_world("Corridor")
    check_env(gymnasium.make("ValueLab/Corridor-v0").unwrapped)
    drawn = draw_letters(make_world("Corridor", length=5), np.array([2, 1], np.int16))
    assert drawn.splitlines()[:3] == ["#######", "#.@...#", "#######"]
    world = make_world("Corridor", length=5)
    mdp = enumerate_world(world, Levels(0, 50))
    assert mdp.num_states == 6, "three inner cells under two lamps"
    values = value_iteration(mdp).values
    distance = np.where(mdp.rows[:, 1] == 1, 5 - mdp.rows[:, 0], mdp.rows[:, 0] - 1)
    np.testing.assert_allclose(values, 0.95 ** (distance - 1))


class VaultModel:
    """The rules of the tutorial's world a second time, on the letters of its map (see `reference_models`)."""

    MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))

    def __init__(self, text: str) -> None:
        self.letters = {(y, x): letter for y, line in enumerate(text.split()) for x, letter in enumerate(line)}
        self.agent = next(cell for cell, letter in self.letters.items() if letter == "@")

    def step(self, action: int, draws: object = None) -> tuple[float, int, bool]:
        y, x = (place + move for place, move in zip(self.agent, self.MOVES[action], strict=True))
        letter = self.letters[y, x]
        if letter == "#" or (letter == "D" and "k" in self.letters.values()):
            return 0.0, -1, False
        self.letters[self.agent], self.letters[y, x], self.agent = ".", "@", (y, x)
        return {"k": (0.0, 0, False), "g": (1.0, 1, True)}.get(letter, (0.0, -1, False))

    def observation(self) -> tuple[np.ndarray, np.ndarray]:
        planes = np.zeros((5, 7, 7), np.uint8)
        for cell, letter in self.letters.items():
            planes["@kDg#".index(letter) if letter in "@kDg#" else slice(0, 0), *cell] = 1
        return planes, np.zeros(0)

    def shortest(self) -> int:
        """Steps to the goal, by breadth-first search over copies."""
        waiting, seen = deque([(self, 0)]), set()
        while True:
            model, steps = waiting.popleft()
            for action in range(4):
                after = copy.deepcopy(model)
                if after.step(action)[2]:
                    return steps + 1
                if (state := "".join(after.letters.values())) not in seen:
                    seen.add(state)
                    waiting.append((after, steps + 1))


def test_the_tutorial_is_short() -> None:
    (block,) = [text for _, text in blocks("python") if text.startswith('"""Vault:')]
    assert block.count("\n") < 100


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_world_of_the_tutorial_works(page_world: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """Solved exactly, played against a model of its rules, drawn, trained on and watched; its levels are its maps."""
    vault = page_world("Vault")
    texts = [textwrap.dedent(text).strip() for text in (*vault.TRAIN, *vault.TEST)]
    world = make_world("Vault")
    levels = [0, 1, world.levels("test").first]
    mdp = enumerate_world(world, levels)
    values = value_iteration(mdp).values[mdp.start_state]
    np.testing.assert_allclose(values, [0.95 ** (VaultModel(text).shortest() - 1) for text in texts])
    for split, number in (("train", 2), ("test", 1)):
        maps = texts[:2] if split == "train" else texts[2:]

        def model(world: World, level: int, row: np.ndarray, maps: list[str] = maps) -> VaultModel:
            return VaultModel(maps[level % FIRST_TEST_LEVEL % len(maps)])

        assert_kernel_agrees("Vault", {"time_limit": 30}, model, split=split)
        env = gymnasium.make("ValueLab/Vault-v0", split=split, render_mode="ansi")
        drawn = set()
        for seed in range(12):
            env.reset(seed=seed)
            drawn.add("\n".join(env.render().splitlines()[:7]))
        assert drawn == set(maps) and len(drawn) == number, "what is drawn is what the author drew"
    check_env(gymnasium.make("ValueLab/Vault-v0").unwrapped, skip_render_check=True)
    train("ValueLab/Vault-v0", TINY_RUN, tmp_path / "run")
    with pytest.raises(SystemExit) as stop:
        main(["watch", str(tmp_path / "run"), "--episodes", "1", "--out", str(tmp_path / "vault.gif")])
    assert not stop.value.code
    with Image.open(tmp_path / "vault.gif") as image:
        assert image.n_frames > 1


def test_the_page_of_the_comparison_agrees_with_the_code() -> None:
    text = TEXTS["comparison.md"]
    paragraphs = text.split("\n\n")
    heads = {key: re.compile(rf"(?:^|\()\*\*[^*]*(?<![\w-]){re.escape(key)}(?![\w-])") for key in TESTS}
    sections = {key: next(part for part in paragraphs if head.search(part)) for key, head in heads.items()}
    for key, test in TESTS.items():
        prediction = test.prediction
        assert prediction.family in sections[key]
        margin = f"margin {prediction.margin:g}".replace("0.", ".")
        assert prediction.family == "exploratory" or margin in sections[key]
        assert all(world in sections[key] for world in test.worlds)
    assert f"margin {MARGIN_AGAINST_ZERO:g}".replace("0.", ".") in sections["CrossedHistory"]
    first_cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    named = {name.strip() for cell in first_cells for name in cell.split(",")}
    for arm in ARMS.values():
        assert arm.name in named
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
    seeds = {name: preset.num_seeds for name, preset in PRESETS.items()}
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


def test_the_first_comparison_stands_in_the_readme_as_it_was_written() -> None:
    """The tables are those that the command wrote, and each mean in them follows from the per-seed scores beside it."""
    table = (ROOT / "docs" / "first" / "tables.md").read_text().strip()
    assert table in TEXTS["README.md"]
    rows = polars.read_csv(ROOT / "docs" / "first" / "scores.csv")
    columns = {"CrossedHistory": 1, "T0": 2, "T5": 3, "T3": 4}
    for line in [text for text in table.split("\n\n")[1].splitlines()[2:] if not text.startswith("| V*")]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for test, column in columns.items():
            chosen = rows.filter(
                polars.col("test") == test, polars.col("reading") == "score", polars.col("line") == cells[0]
            )
            values = chosen["value"].to_numpy()[:, None]
            assert (cells[column] == "–") == (len(values) == 0)
            if len(values):
                interval = t_interval(values)
                assert cells[column].startswith(f"{interval.estimate:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]")
