"""`valuelab watch`: what it says of each state is what the agent and the exact solution say, and it is taken lazily."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

from agents.agent import AlphaAgent, build_agent, num_actions_of
from agents.checkpoint import save_agent
from agents.config import AgentConfig
from agents.environments import make_vector
from agents.evaluation import evaluate
from analysis.cli import main
from analysis.shown import Show
from analysis.watching import watch
from envs.registry import make_world
from envs.rows import FIRST_TEST_LEVEL

WORLD, OPTIONS = "ValueLab/MultiNeed-v0", {"size": 3, "num_objects": 2, "time_limit": 6}
MINIGRID = "MiniGrid-Empty-5x5-v0"
TINY = AgentConfig(encoder_sizes=(8,), hidden_size=8)


def untrained(env_id: str, *, options: dict[str, object] | None = None, config: AgentConfig = TINY) -> AlphaAgent:
    env = make_vector(env_id, 1, options=options)
    return build_agent(env.single_observation_space, num_actions_of(env.single_action_space), config, seed=0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of an untrained agent in each kind of environment."""
    folder = tmp_path_factory.mktemp("runs")
    for name, env_id, options in (("world", WORLD, OPTIONS), ("minigrid", MINIGRID, {"max_steps": 5})):
        agent = untrained(env_id, options=options)
        save_agent(folder / name, agent, extra={"env_id": env_id, "options": options})
    return {path.name: path for path in folder.iterdir()}


Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["watch", *map(str, words)])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.mark.parametrize("actor", ["D", "V1"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_episodes_are_those_of_evaluate(actor: str, split: str) -> None:
    """Levels, lengths, returns and endings, episode by episode, for the same seed."""
    agent = untrained(WORLD, options=OPTIONS)
    show = Show(WORLD, options=OPTIONS, split=split, as_text=True)
    known = evaluate(agent, WORLD, actor=actor, num_episodes=5, seed=3, split=split, options=OPTIONS)
    lasts = [s for s in watch(agent, show, actor=actor, num_episodes=5, seed=3) if s.moment.ending]
    assert [last.moment.level for last in lasts] == known.levels.tolist()
    assert [last.moment.step for last in lasts] == known.lengths.tolist()
    assert [last.moment.total for last in lasts] == pytest.approx(known.returns)
    assert [last.moment.discounted for last in lasts] == pytest.approx(known.discounted_returns)
    assert [last.moment.ending == "terminated" for last in lasts] == known.terminated.tolist()


def test_v_and_its_optimum_belong_to_the_state_that_is_shown() -> None:
    """V is the agent's own of this row; V* = γ^(distance − 1), by hand; neither is said of the end."""
    agent, world = untrained(WORLD, options=OPTIONS), make_world(WORLD, **OPTIONS)
    show = Show(WORLD, options=OPTIONS, split="test", as_text=True)
    seen = 0
    for sight in watch(agent, show, actor="V1", num_episodes=8, seed=0):
        if sight.moment.ending == "terminated":
            assert sight.value is None and sight.exact is None
            continue
        row = sight.stream.rows()[0]
        with torch.no_grad():
            own = float(agent.value(world.observe(row[None])).value)
        (y, x), *goals = (divmod(int(cell), 64) for cell in row[:3])
        steps = abs(goals[row[3]][0] - y) + abs(goals[row[3]][1] - x)
        assert sight.value == pytest.approx(own, abs=1e-6)
        assert sight.exact == pytest.approx(0.95 ** (steps - 1), abs=1e-9)
        seen += 1
    assert seen > 8


def test_memory_goes_on_within_an_episode_and_starts_anew_with_the_next() -> None:
    options = OPTIONS | {"context": "first"}
    agent = untrained(WORLD, options=options, config=AgentConfig(encoder="gru", encoder_sizes=(8,), hidden_size=8))
    world, show = make_world(WORLD, **options), Show(WORLD, options=options, split=None, as_text=True)
    memory, seen = None, []
    for sight in watch(agent, show, actor="D", num_episodes=3, seed=0):
        memory = None if sight.moment.step == 0 else memory
        with torch.no_grad():
            features, memory = agent.features_of_value(world.observe(sight.stream.rows()), memory)
            expected = float(agent.value_head(features, None).value)
        if sight.value is not None:
            assert sight.value == pytest.approx(expected, abs=1e-6)
            seen.append(sight.moment.step)
    assert seen.count(0) == 3 and max(seen) > 2


def test_states_are_taken_when_they_are_asked_for() -> None:
    """A million episodes begin at once, and the env is where the last state that was asked for is."""
    agent, show = untrained(WORLD, options=OPTIONS), Show(WORLD, options=OPTIONS, split="test", as_text=True)
    sights = watch(agent, show, actor="D", num_episodes=10**4, seed=0)
    for _ in range(20):
        sight = next(sights)
        assert sight.stream.num_steps == sight.moment.step


def test_text_of_every_state(runs: dict[str, Path], ran: Ran) -> None:
    code, out, err = ran(runs["world"], "--episodes", 2, "--seed", 4)
    assert code == 0 and not err
    screens = out.rstrip("\n").split("\n\n")
    assert int(re.match(r"episode 0, step 0, level (\d+)\n", out)[1]) >= FIRST_TEST_LEVEL
    for screen in screens:
        assert re.fullmatch(
            r"episode \d, step \d[^\n]*\n"
            r"(V -?\d\.\d{3}, V\* \d\.\d{3}|V of the end: 0)(, earned -?\d\.\d{3} discounted)?\n"
            r"(#####\n#[.@01]{3}#\n#[.@01]{3}#\n#[.@01]{3}#\n#####\n)shown: need_[01]", screen
        ), screen  # fmt: skip
    assert out.count("earned") == 2


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.apng"])
@pytest.mark.parametrize(("kind", "width"), [("world", 320), ("minigrid", 320)])
def test_an_animation_has_a_frame_for_every_state(
    name: str, kind: str, width: int, runs: dict[str, Path], ran: Ran, tmp_path: Path
) -> None:
    """All of one size; the pictures above the captions are those of the env, and the last state stays longer."""
    code, out, err = ran(runs[kind], "--episodes", 2, "--seed", 4, "--out", name, "--delay", 0.1)
    assert code == 0 and not err
    count = int(re.search(r"(\d+) frames of 2 episodes", out)[1])
    _, text, _ = ran(runs[kind], "--episodes", 2, "--seed", 4)
    assert count == text.count("episode 0, step") + text.count("episode 1, step")
    with Image.open(tmp_path / name) as image:
        assert (image.n_frames, image.size[0]) == (count, width) and image.size[1] > width
        durations = []
        for index in range(count):
            image.seek(index)
            assert np.asarray(image.convert("RGB"))[width:].min() < 128, "there is a caption"
            durations.append(image.info["duration"])
    assert durations.count(400) == 2 and durations[-1] == 400 and set(durations) == {100, 400}


def test_the_same_seed_gives_the_same_bytes(runs: dict[str, Path], ran: Ran, tmp_path: Path) -> None:
    for name in ("a.gif", "b.gif"):
        assert ran(runs["world"], "--episodes", 2, "--out", name)[0] == 0
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


@pytest.mark.parametrize(
    ("run", "words", "parts"),
    [
        ("nowhere", [], ["no run folder 'nowhere'"]),
        (".", [], ["holds no run", "checkpoint/"]),
        ("world", ["--out", "a.mp4"], ["'.mp4'", ".gif, .png, .apng"]),
        ("world", ["--out", "a"], ["''", ".gif"]),
        ("world", ["--out", "file/below.gif"], ["Cannot write", "file"]),
        ("world", ["--episodes", "0"], ["--episodes", "0"]),
        ("world", ["--delay", "-1"], ["--delay", "-1"]),
        ("minigrid", ["--split", "train"], [MINIGRID, "no split 'train'"]),
        ("minigrid", ["--actor", "V1"], ["'V1'", MINIGRID, "use actor 'D'"]),
        ("minigrid", ["--actor", "V1", "--out", "a.gif"], ["'V1'", MINIGRID]),
    ],
)
def test_bad_input_is_refused_in_one_line(
    run: str, words: list[str], parts: list[str], runs: dict[str, Path], ran: Ran, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = ran(runs.get(run, run), *words)
    assert code == 2 and err.startswith("valuelab: ") and err.count("\n") == 1
    for part in parts:
        assert part in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing half-written is left"


class Blind(gymnasium.Env):
    """An env without a picture."""

    metadata = {"render_modes": []}
    observation_space, action_space = gymnasium.spaces.Box(0, 1, (2,)), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.ones(2, np.float32), 1.0, True, False, {}


def test_an_env_without_a_picture_is_shown_as_numbers_and_refused_as_an_animation(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gymnasium.register("Blind-v0", entry_point=Blind)
    try:
        save_agent(tmp_path / "run", untrained("Blind-v0"), extra={"env_id": "Blind-v0"})
        code, out, err = ran("run", "--episodes", 1)
        assert code == 0 and "\nobservation: [1. 1.]\n" in out, err
        code, _, err = ran("run", "--out", "a.gif")
        assert code == 2 and "Blind-v0 has no render mode 'rgb_array'" in err and "--out" in err
    finally:
        gymnasium.registry.pop("Blind-v0")
